#include "config/record.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/text_format.h"
#include "config/dotted.h"
#include "config/expected.h"
#include "config/json_value.h"
#include "config/report.h"

namespace sluice::config {
namespace {

using Json = nlohmann::ordered_json;
using Seal = RecordFormat::Seal;

constexpr std::size_t kSealDigits = 32;
constexpr std::size_t kMaxJsonReceived = 200;

std::string text_of(const Json& json, const RecordFormat& format) {
  return json.dump(format.indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

// `text` ends with a line feed; the digits of its seal are removed.
std::string seal_of(std::string_view text, const RecordFormat& format) {
  return hash_of(text.substr(0, text.size() - (format.indent < 0 ? 1 : 0))).hex();
}

// Whether `text` matches its seal. `is_sealed`: it has one.
bool is_intact(std::string_view text, const RecordFormat& format, bool is_sealed) {
  if (!is_sealed) return format.seal != Seal::kRequired;
  const std::size_t key = text.rfind(kSealKey);
  if (key == std::string_view::npos) return false;  // the key is written with escapes
  const std::size_t colon = text.find(':', key),
                    quote = colon == std::string_view::npos ? colon : text.find('"', colon);
  if (quote == std::string_view::npos || text.back() != '\n') return false;
  const std::string_view digits = text.substr(quote + 1, kSealDigits);
  return seal_of(cat(text.substr(0, quote + 1), text.substr(quote + 1 + digits.size())), format) ==
         digits;
}

bool is_double(const Scalar& scalar) {
  return &scalar == &scalar_for(static_cast<const double*>(nullptr));
}

// Accepts every JSON number, unlike Scalar::read(), which follows the rules for YAML text.
bool read_double(double* value, const Json& json, const Limits& limits) {
  *value = json.is_number() ? json.get<double>() : std::numeric_limits<double>::quiet_NaN();
  return json.is_number() || (json.is_null() && limits.any_number());
}

bool read_other(const Scalar& scalar, void* value, const Json& json) {
  const ScalarInfo info = scalar.info();
  const bool fits = info.is_text                  ? json.is_string()
                    : info.json_type == "integer" ? json.is_number_integer()
                                                  : json.is_boolean();
  return fits &&
         !scalar.read({json.is_string() ? json.get<std::string>() : json.dump(), json.is_string()},
                      value);
}

// Each read() stores the value of `json` and reports its problems.
class RecordReader {
 public:
  explicit RecordReader(Report& report) : report_(report) {}

  void read(const Scalar* scalar, void* value, const Json& json, const std::string& path,
            const Limits& limits) {
    const bool is_read = is_double(*scalar) ? read_double(static_cast<double*>(value), json, limits)
                                            : read_other(*scalar, value, json);
    const auto number = is_read ? scalar->number(value) : std::nullopt;
    if (!is_read || (number && !std::isnan(*number) && !limits.allow(*number)))
      wrong(path, json, expected_words(scalar, limits));
  }
  void read(const Maybe* maybe, void* value, const Json& json, const std::string& path,
            const Limits& limits) {
    if (json.is_null()) return maybe->clear(value);
    visit(maybe->inner, maybe->make(value), json, path, limits);
  }
  void read(const List* list, void* value, const Json& json, const std::string& path,
            const Limits& limits) {
    if (!json.is_array() || (list->fixed && json.size() != list->size(value)))
      return wrong(path, json, expected_words(list, limits));
    list->reset(value, json.size());
    for (std::size_t i = 0; i < json.size(); ++i)
      visit(list->item, const_cast<void*>(list->at(value, i)), json[i], cat(path, '[', i, ']'),
            limits);
  }
  void read(const Map* map, void* value, const Json& json, const std::string& path,
            const Limits& limits) {
    if (!json.is_object()) return wrong(path, json, expected_words(map, limits));
    map->clear(value);
    for (const auto& [key, one] : json.items())
      visit(map->value, map->add(value, key), one, dotted(path, key), limits);
  }
  void read(const Section* section, void* value, const Json& json, const std::string& path,
            const Limits&) {
    const std::size_t before = num_problems_;
    if (section->as_list) {
      read_list(*section, value, json, path);
    } else if (!json.is_object()) {
      wrong(path, json, "a JSON object");
    } else {
      read_members(*section, value, json, path);
    }
    if (num_problems_ > before || section->check == nullptr) return;
    CheckProblems problems(*this, path);
    section->check(value, problems);
  }
  void read(const Choice*, void*, const Json&, const std::string&, const Limits&) {
    invariant(false, "records do not support variants");
  }

 private:
  // Adds the path of the named member to problems found by check().
  class CheckProblems final : public Problems {
   public:
    CheckProblems(RecordReader& reader, const std::string& path) : reader_(reader), path_(path) {}
    void add(std::string_view field, std::string_view received,
             std::string_view expected) override {
      reader_.problem(dotted(path_, field), printable(received, kMaxJsonReceived), expected);
    }

   private:
    RecordReader& reader_;
    const std::string& path_;
  };

  void visit(const Type& type, void* value, const Json& json, const std::string& path,
             const Limits& limits) {
    std::visit([&](const auto* shape) { read(shape, value, json, path, limits); }, type);
  }

  void read_list(const Section& section, void* value, const Json& json, const std::string& path) {
    if (!json.is_array() || json.size() != section.rows.size()) {
      std::string names;
      for (const Row& row : section.rows) names += cat(names.empty() ? "" : ", ", row.name);
      return wrong(path, json, cat("a list of ", names));
    }
    for (std::size_t i = 0; i < section.rows.size(); ++i) {
      const Row& row = section.rows[i];
      visit(row.type, const_cast<void*>(row.get(value)), json[i], cat(path, '[', i, ']'),
            row.limits);
    }
  }

  // Reads keys without a row.
  void read_others(const Section& section, void* value, const Json& json, const std::string& path) {
    const Row* rest = section.rest();
    const Map* map = rest == nullptr ? nullptr : std::get<const Map*>(rest->type);
    void* const member = rest == nullptr ? nullptr : const_cast<void*>(rest->get(value));
    if (map != nullptr) map->clear(member);
    for (const auto& [key, one] : json.items()) {
      if (section.find(key) != nullptr) continue;
      const std::string below = dotted(path, printable(key, kMaxJsonReceived));
      if (map == nullptr) {
        problem(below, "unknown key", "no other keys");
      } else {
        visit(map->value, map->add(member, key), one, below, rest->limits);
      }
    }
  }

  void read_members(const Section& section, void* value, const Json& json,
                    const std::string& path) {
    read_others(section, value, json, path);
    for (const Row& row : section.rows) {
      const auto found = json.find(row.name);
      if (row.rest) continue;
      if (found != json.end()) {
        visit(row.type, const_cast<void*>(row.get(value)), *found, dotted(path, row.name),
              row.limits);
      } else if (const auto* maybe = std::get_if<const Maybe*>(&row.type);
                 row.may_be_missing && maybe != nullptr) {
        (*maybe)->clear(const_cast<void*>(row.get(value)));
      } else if (!row.may_be_missing) {
        problem(dotted(path, row.name), "missing", expected_words(row.type, row.limits));
      }
    }
  }

  void wrong(const std::string& path, const Json& json, std::string_view expected) {
    const bool is_scalar = json.is_primitive();  // dump() of deep nesting would overflow the stack
    problem(path,
            is_scalar         ? printable(json.dump(), kMaxJsonReceived)
            : json.is_array() ? "a list"
                              : "an object",
            expected);
  }
  void problem(const std::string& path, std::string_view received, std::string_view expected) {
    ++num_problems_;
    report_.add({.source = 0}, path, received, expected);
  }

  Report& report_;
  std::size_t num_problems_ = 0;
};

}  // namespace

std::string write_record(const RecordFormat& format, const Section& section, const void* value) {
  Json json = Json::object();
  if (format.version > 0) json[kFormatKey] = format.version;
  json.update(json_value(section, value));
  if (format.seal == Seal::kNone) return text_of(json, format);
  json[kSealKey] = "";
  json[kSealKey] = seal_of(text_of(json, format), format);
  return text_of(json, format);
}

void read_record(const RecordFormat& format, const Section& section, void* value,
                 std::string_view text, std::string_view source) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    fail(ExitCode::kBadData, source, cat("not a JSON object; expected ", format.expected));
  if (format.version > 0) {
    const auto found = json.find(kFormatKey);
    if (found != json.end() && found->is_number_integer() && *found != format.version)
      fail(ExitCode::kBadData, source,
           cat("unsupported ", format.name, " format ", found->dump(), "; expected format ",
               format.version));
    const std::string expected = cat(format.version, ", as in ", format.expected);
    if (found == json.end())
      fail(ExitCode::kBadData, cat(source, ": format"), cat("missing; expected ", expected));
    require(*found == format.version, ExitCode::kBadData, cat(source, ": format"),
            printable(found->dump(), kMaxJsonReceived), expected);
    json.erase(kFormatKey);
  }
  if (format.seal != Seal::kNone) {
    require(is_intact(text, format, json.contains(kSealKey)), ExitCode::kBadData, source,
            cat("hash mismatch; expected ", format.expected));
    json.erase(kSealKey);
  }
  try {
    read_json_object(section, value, json, source);
  } catch (const UserError& error) {
    throw UserError(error.code(), cat(error.what(), " (expected ", format.expected, ')'));
  }
}

void read_json_object(const Section& section, void* value, const Json& object,
                      std::string_view source) {
  Report report;
  report.add_source(source, /*has_lines=*/false);
  RecordReader(report).read(&section, value, object, "", Limits{});
  if (!report.empty()) throw UserError(ExitCode::kBadData, report.text());
}

}  // namespace sluice::config
