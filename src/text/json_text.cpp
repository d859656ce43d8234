#include "text/json_text.h"

#include <algorithm>
#include <optional>

#include "text/utf8.h"

namespace sluice::text {

namespace {

constexpr int kMaxTextNesting = 100;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A position in a line. A fault ends the line: ok() is false from then on.
class Cursor {
 public:
  explicit Cursor(std::string_view line) : length_(line.size()), rest_(line) {}

  std::size_t offset() const { return length_ - rest_.size(); }
  std::string_view rest() const { return rest_; }
  bool at_end() const { return rest_.empty(); }
  bool at(char c) const { return rest_.starts_with(c); }
  void skip(std::size_t count) { rest_.remove_prefix(count); }
  bool take(char c) {
    if (!at(c)) return false;
    skip(1);
    return true;
  }
  template <class Wanted>
  std::string_view take_while(const Wanted& wanted) {
    const std::string_view run(rest_.begin(), std::find_if_not(rest_.begin(), rest_.end(), wanted));
    skip(run.size());
    return run;
  }
  void skip_blanks() {
    while (at(' ') || at('\t') || at('\n') || at('\r')) skip(1);
  }

  bool ok() const { return fault_.empty(); }
  void fail(std::string_view fault) {
    if (!ok()) return;
    fault_ = fault;
    fault_offset_ = offset();
    rest_ = {};
  }
  std::string_view fault() const { return fault_; }
  std::size_t fault_offset() const { return fault_offset_; }

 private:
  std::size_t length_;
  std::string_view rest_;
  std::string_view fault_;
  std::size_t fault_offset_ = 0;
};

// A string's value and the lone surrogates in it.
struct String {
  std::string value;
  std::uint64_t num_lone_surrogates = 0;
  std::size_t first_lone = 0;
};

// The number in "uXXXX" at the start of `text`; nullopt if it does not start so.
std::optional<std::uint32_t> leading_code(std::string_view text) {
  if (text.size() < 5 || text[0] != 'u') return std::nullopt;
  std::uint32_t code = 0;
  for (const char c : text.substr(1, 4)) {
    const char lower = static_cast<char>(c | 0x20);
    if (!is_digit(c) && !(lower >= 'a' && lower <= 'f')) return std::nullopt;
    code = code * 16 + static_cast<std::uint32_t>(is_digit(c) ? c - '0' : lower - 'a' + 10);
  }
  return code;
}

// Reads an escape that begins at `begin`, from its "u".
void read_code(Cursor& cursor, std::size_t begin, String* out) {
  std::optional<std::uint32_t> code = leading_code(cursor.rest());
  if (!code.has_value()) return cursor.fail("expected four hexadecimal digits after \\u");
  cursor.skip(5);
  if (*code >= 0xD800 && *code < 0xDC00 && cursor.at('\\')) {
    const std::optional<std::uint32_t> low = leading_code(cursor.rest().substr(1));
    if (low.has_value() && *low >= 0xDC00 && *low < 0xE000) {
      cursor.skip(6);
      code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
    }
  }
  if (out == nullptr) return;
  if (*code >= 0xD800 && *code < 0xE000) {
    if (out->num_lone_surrogates++ == 0) out->first_lone = begin;
    out->value += kReplacementCharacter;
  } else {
    append_utf8(*code, out->value);
  }
}

void read_escape(Cursor& cursor, String* out) {
  constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
  const std::size_t begin = cursor.offset();
  cursor.take('\\');
  if (cursor.at('u')) return read_code(cursor, begin, out);
  const std::size_t index =
      cursor.at_end() ? std::string_view::npos : kNames.find(cursor.rest().front());
  if (index == std::string_view::npos) return cursor.fail("unknown escape");
  if (out != nullptr) out->value += kValues[index];
  cursor.skip(1);
}

// Appends to `out`, unless it is null.
void read_string(Cursor& cursor, String* out) {
  cursor.take('"');
  while (cursor.ok()) {
    const std::string_view plain = cursor.take_while(
        [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; });
    if (out != nullptr) out->value.append(plain);
    if (cursor.at_end()) return cursor.fail("unterminated string");
    if (cursor.take('"')) return;
    if (!cursor.at('\\')) return cursor.fail("control character in a string");
    read_escape(cursor, out);
  }
}

void skip_digits(Cursor& cursor) {
  if (cursor.take_while(is_digit).empty()) cursor.fail("expected a value");
}

void skip_number(Cursor& cursor) {
  cursor.take('-');
  if (!cursor.take('0')) skip_digits(cursor);
  if (cursor.take('.')) skip_digits(cursor);
  if (cursor.take('e') || cursor.take('E')) {
    if (!cursor.take('+')) cursor.take('-');
    skip_digits(cursor);
  }
}

// Calls each_member(name) at the value of each member.
template <class EachMember>
void read_object(Cursor& cursor, const EachMember& each_member) {
  cursor.take('{');
  cursor.skip_blanks();
  if (cursor.take('}')) return;
  while (cursor.ok()) {
    cursor.skip_blanks();
    if (!cursor.at('"')) return cursor.fail("expected a name in double quotes");
    String name;
    read_string(cursor, &name);
    cursor.skip_blanks();
    if (!cursor.take(':')) return cursor.fail("expected `:`");
    cursor.skip_blanks();
    each_member(name.value);
    cursor.skip_blanks();
    if (cursor.take('}')) return;
    if (!cursor.take(',')) return cursor.fail("expected `,` or `}`");
  }
}

template <class EachItem>
void read_list(Cursor& cursor, const EachItem& each_item) {
  cursor.take('[');
  cursor.skip_blanks();
  if (cursor.take(']')) return;
  while (cursor.ok()) {
    cursor.skip_blanks();
    each_item();
    cursor.skip_blanks();
    if (cursor.take(']')) return;
    if (!cursor.take(',')) return cursor.fail("expected `,` or `]`");
  }
}

// Skips a value and returns its type.
std::string_view skip_value(Cursor& cursor, int depth) {
  if (depth > kMaxTextNesting) cursor.fail("nesting deeper than 100");
  if (cursor.at_end()) cursor.fail("expected a value");
  if (!cursor.ok()) return {};
  if (cursor.at('{')) {
    read_object(cursor, [&](const std::string&) { skip_value(cursor, depth + 1); });
    return "an object";
  }
  if (cursor.at('[')) {
    read_list(cursor, [&] { skip_value(cursor, depth + 1); });
    return "a list";
  }
  if (cursor.at('"')) {
    read_string(cursor, nullptr);
    return "a string";
  }
  for (const auto& [word, type] : {std::pair<std::string_view, std::string_view>{"null", "null"},
                                   {"true", "a boolean"},
                                   {"false", "a boolean"},
                                   {"NaN", "a number"},
                                   {"Infinity", "a number"},
                                   {"-Infinity", "a number"}}) {
    if (!cursor.rest().starts_with(word)) continue;
    cursor.skip(word.size());
    return type;
  }
  skip_number(cursor);
  return "a number";
}

JsonText read_text_field(Cursor& cursor) {
  const std::size_t begin = cursor.offset();
  if (!cursor.at('"'))
    return {
        .outcome = JsonText::Outcome::kNotString, .offset = begin, .what = skip_value(cursor, 1)};
  String text;
  read_string(cursor, &text);
  return {.outcome = JsonText::Outcome::kFound,
          .text = std::move(text.value),
          .num_lone_surrogates = text.num_lone_surrogates,
          .offset = text.first_lone};
}

JsonText read_root(Cursor& cursor, std::string_view field) {
  JsonText result{.outcome = JsonText::Outcome::kMissing};
  read_object(cursor, [&](std::string& name) {
    if (name == field) {
      result = read_text_field(cursor);
      return;
    }
    const std::string_view type = skip_value(cursor, 1);
    if (result.outcome == JsonText::Outcome::kMissing && ++result.num_fields <= kMaxJsonFields) {
      result.fields.push_back({.name = std::move(name), .type = type});
    }
  });
  return result;
}

}  // namespace

JsonText json_text(std::string_view line, std::string_view field) {
  Cursor cursor(line);
  cursor.skip_blanks();
  JsonText result{.outcome = JsonText::Outcome::kNotObject};
  if (cursor.at('{')) {
    result = read_root(cursor, field);
  } else {
    result.what = skip_value(cursor, 0);
  }
  cursor.skip_blanks();
  if (!cursor.at_end()) cursor.fail("trailing text after the value");
  if (!cursor.ok())
    return {.outcome = JsonText::Outcome::kInvalid,
            .offset = cursor.fault_offset(),
            .what = cursor.fault()};
  return result;
}

}  // namespace sluice::text
