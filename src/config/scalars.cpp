#include "config/scalars.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/text_format.h"
#include "config/aliases.h"
#include "config/number_text.h"

namespace sluice::config {
namespace {

// Quoted text is never a T. Suggests the unquoted text if that would be valid.
template <class T>
Refusal refuse_quoted(const Scalar& type, std::string_view text) {
  T scratch{};
  if (type.read({text, false}, &scratch)) return {};
  return {cat(type.info().article, " without quotes"), std::string(text)};
}

class BoolType final : public Scalar {
 public:
  ScalarInfo info() const override {
    return {"true or false", "`true` or `false`", "boolean", "", {}, false};
  }
  std::optional<Refusal> read(ScalarText text, void* value) const override {
    if (text.quoted) return refuse_quoted<bool>(*this, text.text);
    if (text.text != "true" && text.text != "false") return Refusal{"", suggestion(text.text)};
    *static_cast<bool*>(value) = text.text == "true";
    return std::nullopt;
  }
  std::string write(const void* value) const override {
    return *static_cast<const bool*>(value) ? "true" : "false";
  }

 private:
  static std::string suggestion(std::string_view text) {
    constexpr std::array<std::string_view, 6> kYes = {"on", "yes", "y", "true", "t", "1"};
    constexpr std::array<std::string_view, 6> kNo = {"off", "no", "n", "false", "f", "0"};
    std::string lower(text.substr(0, 8));
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (std::find(kYes.begin(), kYes.end(), lower) != kYes.end()) return "true";
    return std::find(kNo.begin(), kNo.end(), lower) != kNo.end() ? "false" : "";
  }
};

template <class Int>
class IntegerType final : public Scalar {
 public:
  ScalarInfo info() const override {
    return {"whole number", "a whole number", "integer", "", {}, false, std::is_unsigned_v<Int>};
  }
  std::optional<Refusal> read(ScalarText text, void* value) const override {
    if (text.quoted) return refuse_quoted<Int>(*this, text.text);
    const auto digits = whole_number(text.text);
    if (!digits)
      return Refusal{expected_number(text.text, info().article), suggested_number(text.text)};
    Int number = 0;
    if (!to_integer(*digits, number)) {
      return Refusal{digits->starts_with('-')
                         ? cat("a whole number of at least ", std::numeric_limits<Int>::min())
                         : cat("a whole number of at most ", std::numeric_limits<Int>::max()),
                     ""};
    }
    *static_cast<Int*>(value) = number;
    return std::nullopt;
  }
  std::string write(const void* value) const override {
    return std::to_string(*static_cast<const Int*>(value));
  }
  std::optional<long double> number(const void* value) const override {
    return *static_cast<const Int*>(value);
  }

 private:
  static bool to_integer(std::string_view digits, Int& number) {
    if (digits == "-0") return true;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return error == std::errc() && end == digits.data() + digits.size();
  }
};

class DoubleType final : public Scalar {
 public:
  ScalarInfo info() const override { return {"number", "a number", "number", "", {}, false}; }
  std::optional<Refusal> read(ScalarText text, void* value) const override {
    if (text.quoted) return refuse_quoted<double>(*this, text.text);
    if (!is_number(text.text))
      return Refusal{expected_number(text.text, info().article), suggested_number(text.text)};
    const auto number = to_double(text.text);
    if (!number) return Refusal{"a number that a double can hold (1e-307 to 1e308)", ""};
    *static_cast<double*>(value) = *number;
    return std::nullopt;
  }
  std::string write(const void* value) const override {
    invariant(std::isfinite(*static_cast<const double*>(value)),
              "non-finite number in a configuration");
    return shortest(*static_cast<const double*>(value));
  }
  std::optional<long double> number(const void* value) const override {
    return *static_cast<const double*>(value);
  }
};

class StringType final : public Scalar {
 public:
  ScalarInfo info() const override { return {"text", "text", "string", "", {}, true}; }
  std::optional<Refusal> read(ScalarText text, void* value) const override {
    if (text.text.find('\0') != std::string_view::npos) return Refusal{"text without NUL", ""};
    *static_cast<std::string*>(value) = text.text;
    return std::nullopt;
  }
  std::string write(const void* value) const override {
    return *static_cast<const std::string*>(value);
  }
};

class WordType final : public Scalar {
 public:
  ScalarInfo info() const override {
    return {.name = "value", .article = "a value", .is_text = true, .takes_lists = true};
  }
  std::optional<Refusal> read(ScalarText text, void* value) const override {
    if (text.text.find('\0') != std::string_view::npos) return Refusal{"text without NUL", ""};
    *static_cast<Word*>(value) = {std::string(text.text), text.quoted};
    return std::nullopt;
  }
  std::string write(const void* value) const override {
    return static_cast<const Word*>(value)->text;
  }
  std::optional<bool> is_quoted(const void* value) const override {
    return static_cast<const Word*>(value)->quoted;
  }
};

class HashType final : public Scalar {
 public:
  ScalarInfo info() const override {
    return {"hash", "a hash of 32 hexadecimal digits", "string", "", {}, true};
  }
  std::optional<Refusal> read(ScalarText text, void* value) const override {
    const auto hash = hash_from_hex(text.text);
    if (!hash) return Refusal{};
    *static_cast<Hash128*>(value) = *hash;
    return std::nullopt;
  }
  std::string write(const void* value) const override {
    return static_cast<const Hash128*>(value)->hex();
  }
};

struct ByteUnit {
  std::string_view name;
  std::int64_t bytes;
};
// In descending order; numbers are written in the first unit that divides them.
constexpr std::array<ByteUnit, 10> kByteUnits = {{{"TiB", std::int64_t{1} << 40},
                                                  {"TB", 1'000'000'000'000},
                                                  {"GiB", std::int64_t{1} << 30},
                                                  {"GB", 1'000'000'000},
                                                  {"MiB", std::int64_t{1} << 20},
                                                  {"MB", 1'000'000},
                                                  {"KiB", std::int64_t{1} << 10},
                                                  {"kB", 1'000},
                                                  {"KB", 1'000},
                                                  {"B", 1}}};

class BytesType final : public Scalar {
 public:
  ScalarInfo info() const override {
    return {"size",    "a size such as 512MiB, 2GB or 1000",
            "integer", "^[0-9]+([.][0-9]+)? ?([kKMGT]B|[KMGT]iB|B)$",
            {},        false,
            true};
  }
  std::optional<Refusal> read(ScalarText text, void* value) const override {
    if (text.quoted) return refuse_quoted<Bytes>(*this, text.text);
    const auto parts = split_unit(text.text);
    const std::string_view number = parts.first, unit_name = parts.second;
    const auto unit = std::find_if(kByteUnits.begin(), kByteUnits.end(),
                                   [&](const ByteUnit& u) { return u.name == unit_name; });
    if (!is_number(number) || number.find_first_of("+-") != std::string_view::npos)
      return Refusal{};
    if (unit == kByteUnits.end() && !unit_name.empty())
      return Refusal{"", suggestion(number, unit_name)};
    const auto count = scaled_exactly(number, unit_name.empty() ? 1 : unit->bytes);
    if (!count) return Refusal{"a whole number of bytes below 8 EiB", ""};
    static_cast<Bytes*>(value)->count = *count;
    return std::nullopt;
  }
  std::string write(const void* value) const override {
    const std::int64_t count = static_cast<const Bytes*>(value)->count;
    for (const ByteUnit& unit : kByteUnits) {
      if (count != 0 && unit.name != "B" && count % unit.bytes == 0)
        return cat(count / unit.bytes, unit.name);
    }
    return std::to_string(count);
  }
  std::optional<long double> number(const void* value) const override {
    return static_cast<const Bytes*>(value)->count;
  }

 private:
  // Corrects the case or a missing suffix of a unit: 512mib, 2Gb, 1M.
  static std::string suggestion(std::string_view number, std::string_view unit_name) {
    const auto lower = [](std::string_view text) {
      std::string out(text);
      for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      return out;
    };
    for (const ByteUnit& unit : kByteUnits) {
      const std::string name = lower(unit.name);
      const std::string given = lower(unit_name);
      if (given == name || given + "b" == name || given + "ib" == name)
        return cat(number, unit.name);
    }
    return "";
  }
};

struct TimeUnit {
  std::string_view name;
  double seconds;
};
constexpr std::array<TimeUnit, 4> kTimeUnits = {{{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}}};

class SecondsType final : public Scalar {
 public:
  ScalarInfo info() const override {
    return {"duration", "a duration such as 30s, 10min, 2h or 90 (seconds)",
            "number",   "^[0-9]+([.][0-9]+)? ?(ms|s|min|h|d)$",
            {},         false,
            true};
  }
  std::optional<Refusal> read(ScalarText text, void* value) const override {
    if (text.quoted) return refuse_quoted<Seconds>(*this, text.text);
    const auto [number, unit] = split_unit(text.text);
    const auto count = is_number(number) ? to_double(number) : std::nullopt;
    if (!count || number.find('-') == 0) return Refusal{};
    const auto seconds = in_seconds(*count, unit);
    if (!seconds) return Refusal{"", suggestion(number, unit)};
    if (!std::isfinite(*seconds)) return Refusal{"a duration that a double can hold", ""};
    static_cast<Seconds*>(value)->count = *seconds;
    return std::nullopt;
  }
  std::string write(const void* value) const override {
    const double count = static_cast<const Seconds*>(value)->count;
    invariant(std::isfinite(count), "non-finite duration in a configuration");
    for (const TimeUnit& unit : kTimeUnits) {
      // Only if the quotient is exact, so that it reads back as the same double.
      if (count >= unit.seconds && count < 1e12 && std::fmod(count, unit.seconds) == 0) {
        return cat(std::to_string(static_cast<std::int64_t>(count / unit.seconds)), unit.name);
      }
    }
    return cat(shortest(count), 's');
  }
  std::optional<long double> number(const void* value) const override {
    return static_cast<const Seconds*>(value)->count;
  }

 private:
  static std::optional<double> in_seconds(double count, std::string_view unit_name) {
    if (unit_name.empty()) return count;
    if (unit_name == "ms") return count / 1000;
    for (const TimeUnit& unit : kTimeUnits) {
      if (unit.name == unit_name) return count * unit.seconds;
    }
    return std::nullopt;
  }
  static std::string suggestion(std::string_view number, std::string_view unit) {
    if (unit == "m" || unit == "mins" || unit == "minutes" || unit == "minute")
      return cat(number, "min");
    if (unit == "sec" || unit == "secs" || unit == "seconds" || unit == "second")
      return cat(number, 's');
    if (unit == "hr" || unit == "hours" || unit == "hour") return cat(number, 'h');
    return unit == "days" || unit == "day" ? cat(number, 'd') : "";
  }
};

const BoolType kBool;
const IntegerType<std::int64_t> kInt64;
const IntegerType<std::uint64_t> kUint64;
const DoubleType kDouble;
const StringType kString;
const WordType kWord;
const HashType kHash;
const BytesType kBytes;
const SecondsType kSeconds;

}  // namespace

const Scalar& scalar_for(const bool*) { return kBool; }
const Scalar& scalar_for(const std::int64_t*) { return kInt64; }
const Scalar& scalar_for(const std::uint64_t*) { return kUint64; }
const Scalar& scalar_for(const double*) { return kDouble; }
const Scalar& scalar_for(const std::string*) { return kString; }
const Scalar& scalar_for(const Word*) { return kWord; }
const Scalar& scalar_for(const Hash128*) { return kHash; }
const Scalar& scalar_for(const Bytes*) { return kBytes; }
const Scalar& scalar_for(const Seconds*) { return kSeconds; }

ScalarInfo Named::info() const { return {"name", "a name", "string", "", options_, true}; }

std::optional<Refusal> Named::read(ScalarText text, void* value) const {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < options_.size(); ++i) {
    if (options_[i].name == text.text) {
      set(value, i);
      return std::nullopt;
    }
    names.push_back(options_[i].name);
  }
  return Refusal{"", std::string(suggested(text.text, names))};
}

std::string Named::write(const void* value) const {
  const std::size_t i = index(value);
  invariant(i < options_.size(), "enumerator without a name in a configuration");
  return std::string(options_[i].name);
}

}  // namespace sluice::config
