#include "text/json_text.h"

#include <optional>

#include "text/utf8.h"

namespace sluice::text {

namespace {

constexpr int kMaxDepth = 100;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A string's value and the halves of surrogate pairs in it.
struct String {
  std::string value;
  std::uint64_t num_half_surrogates = 0;
  std::size_t first_half = 0;
};

// Reads one line from the left. A fault ends it: ok() is false from then on.
class JsonReader {
 public:
  JsonReader(std::string_view line, std::string_view field) : line_(line), field_(field) {}

  JsonText read() {
    skip_blanks();
    const bool object = at('{');
    const std::string_view type = object ? read_outermost() : skip_value(0);
    skip_blanks();
    if (at_ < line_.size()) fail("text behind the end of the value");
    if (!ok()) return {.outcome = JsonText::Outcome::kBroken, .offset = fault_offset_, .what = fault_};
    if (!object) return {.outcome = JsonText::Outcome::kNoObject, .what = type};
    return std::move(result_);
  }

 private:
  bool ok() const { return fault_.empty(); }
  void fail(std::string_view fault) {
    if (!ok()) return;
    fault_ = fault;
    fault_offset_ = at_;
    at_ = line_.size();
  }
  bool at(char c) const { return at_ < line_.size() && line_[at_] == c; }
  bool take(char c) {
    if (!at(c)) return false;
    ++at_;
    return true;
  }
  void skip_blanks() {
    while (at(' ') || at('\t') || at('\n') || at('\r')) ++at_;
  }

  // `each_member` reads the value of a member of that name.
  template <class EachMember>
  void read_object(const EachMember& each_member) {
    take('{');
    skip_blanks();
    if (take('}')) return;
    while (ok()) {
      skip_blanks();
      if (!at('"')) return fail("a name in double quotes is expected");
      String name;
      read_string(&name);
      skip_blanks();
      if (!take(':')) return fail("`:` is expected");
      skip_blanks();
      each_member(name.value);
      skip_blanks();
      if (take('}')) return;
      if (!take(',')) return fail("`,` or `}` is expected");
    }
  }

  std::string_view read_outermost() {
    result_.outcome = JsonText::Outcome::kMissing;
    read_object([this](std::string& name) {
      if (name == field_) return read_wanted();
      const std::string_view type = skip_value(1);
      if (result_.outcome == JsonText::Outcome::kMissing && ++result_.num_fields <= kMaxJsonFields) {
        result_.fields.push_back({.name = std::move(name), .type = type});
      }
    });
    return "an object";
  }

  void read_wanted() {
    const std::size_t begin = at_;
    if (!at('"')) {
      const std::string_view type = skip_value(1);
      result_ = {.outcome = JsonText::Outcome::kNoString, .offset = begin, .what = type};
      return;
    }
    String text;
    read_string(&text);
    result_ = {.outcome = JsonText::Outcome::kFound,
               .text = std::move(text.value),
               .num_half_surrogates = text.num_half_surrogates,
               .offset = text.first_half};
  }

  // Its type. Strings of no interest are not kept.
  std::string_view skip_value(int depth) {
    if (depth > kMaxDepth) fail("nesting deeper than 100");
    if (at_ == line_.size()) fail("a value is expected");
    if (!ok()) return {};
    if (at('{')) {
      read_object([&](std::string&) { skip_value(depth + 1); });
      return "an object";
    }
    if (at('[')) {
      skip_list(depth);
      return "a list";
    }
    if (at('"')) {
      read_string(nullptr);
      return "a string";
    }
    for (const auto& [word, type] : {std::pair<std::string_view, std::string_view>{"null", "null"},
                                     {"true", "a truth value"},
                                     {"false", "a truth value"},
                                     {"NaN", "a number"},
                                     {"Infinity", "a number"},
                                     {"-Infinity", "a number"}}) {
      if (!line_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return type;
    }
    skip_number();
    return "a number";
  }

  void skip_list(int depth) {
    take('[');
    skip_blanks();
    if (take(']')) return;
    while (ok()) {
      skip_blanks();
      skip_value(depth + 1);
      skip_blanks();
      if (take(']')) return;
      if (!take(',')) return fail("`,` or `]` is expected");
    }
  }

  void skip_digits() {
    if (at_ == line_.size() || !is_digit(line_[at_])) return fail("a value is expected");
    while (at_ < line_.size() && is_digit(line_[at_])) ++at_;
  }
  void skip_number() {
    take('-');
    if (!take('0')) skip_digits();
    if (take('.')) skip_digits();
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      skip_digits();
    }
  }

  void read_string(String* out) {
    take('"');
    while (ok()) {
      const std::size_t begin = at_;
      while (at_ < line_.size() && line_[at_] != '"' && line_[at_] != '\\' && static_cast<unsigned char>(line_[at_]) >= 0x20) ++at_;
      if (out != nullptr) out->value.append(line_, begin, at_ - begin);
      if (at_ == line_.size()) return fail("a string without an end");
      if (take('"')) return;
      if (!at('\\')) return fail("a control character in a string");
      read_escape(out);
    }
  }

  void read_escape(String* out) {
    constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
    const std::size_t begin = at_;
    take('\\');
    if (at('u')) return read_code(begin, out);
    const std::size_t index = at_ < line_.size() ? kNames.find(line_[at_]) : std::string_view::npos;
    if (index == std::string_view::npos) return fail("an escape that JSON does not have");
    if (out != nullptr) out->value += kValues[index];
    ++at_;
  }

  // The four digits behind "u" at position `at`; nothing where they are not there.
  std::optional<std::uint32_t> code_at(std::size_t at) const {
    if (at + 5 > line_.size() || line_[at] != 'u') return std::nullopt;
    std::uint32_t code = 0;
    for (const char c : line_.substr(at + 1, 4)) {
      const char lower = static_cast<char>(c | 0x20);
      if (!is_digit(c) && !(lower >= 'a' && lower <= 'f')) return std::nullopt;
      code = code * 16 + static_cast<std::uint32_t>(is_digit(c) ? c - '0' : lower - 'a' + 10);
    }
    return code;
  }

  void read_code(std::size_t begin, String* out) {
    std::optional<std::uint32_t> code = code_at(at_);
    if (!code.has_value()) return fail("an escape \\u without four hexadecimal digits");
    at_ += 5;
    if (*code >= 0xD800 && *code < 0xDC00 && at('\\')) {
      const std::optional<std::uint32_t> low = code_at(at_ + 1);
      if (low.has_value() && *low >= 0xDC00 && *low < 0xE000) {
        at_ += 6;
        code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
      }
    }
    if (out == nullptr) return;
    if (*code >= 0xD800 && *code < 0xE000) {
      if (out->num_half_surrogates++ == 0) out->first_half = begin;
      out->value += kReplacementCharacter;
    } else {
      append_utf8(*code, out->value);
    }
  }

  std::string_view line_, field_;
  std::size_t at_ = 0;
  std::string_view fault_;
  std::size_t fault_offset_ = 0;
  JsonText result_;
};

}  // namespace

JsonText json_text(std::string_view line, std::string_view field) { return JsonReader(line, field).read(); }

}  // namespace sluice::text
