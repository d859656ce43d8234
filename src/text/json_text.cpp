#include "text/json_text.h"

#include <algorithm>
#include <optional>

#include "text/utf8.h"

namespace sluice::text {

namespace {

constexpr int kMaxDepth = 100;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A place in a line, which moves right. A fault ends the line: ok() is false from then on.
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

// A string's value and the halves of surrogate pairs in it.
struct String {
  std::string value;
  std::uint64_t num_half_surrogates = 0;
  std::size_t first_half = 0;
};

// The number in "uXXXX" at the start of `text`; nothing where that is not there.
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

// At the "u" of an escape that begins at `begin`.
void read_code(Cursor& cursor, std::size_t begin, String* out) {
  std::optional<std::uint32_t> code = leading_code(cursor.rest());
  if (!code.has_value()) return cursor.fail("an escape \\u without four hexadecimal digits");
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
    if (out->num_half_surrogates++ == 0) out->first_half = begin;
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
  const std::size_t index = cursor.at_end() ? std::string_view::npos : kNames.find(cursor.rest().front());
  if (index == std::string_view::npos) return cursor.fail("an escape that JSON does not have");
  if (out != nullptr) out->value += kValues[index];
  cursor.skip(1);
}

// Appends to `out`, where there is one: strings of no interest are not kept.
void read_string(Cursor& cursor, String* out) {
  cursor.take('"');
  while (cursor.ok()) {
    const std::string_view plain = cursor.take_while([](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; });
    if (out != nullptr) out->value.append(plain);
    if (cursor.at_end()) return cursor.fail("a string without an end");
    if (cursor.take('"')) return;
    if (!cursor.at('\\')) return cursor.fail("a control character in a string");
    read_escape(cursor, out);
  }
}

void skip_digits(Cursor& cursor) {
  if (cursor.take_while(is_digit).empty()) cursor.fail("a value is expected");
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

// `each_member` reads the value of a member of that name.
template <class EachMember>
void read_object(Cursor& cursor, const EachMember& each_member) {
  cursor.take('{');
  cursor.skip_blanks();
  if (cursor.take('}')) return;
  while (cursor.ok()) {
    cursor.skip_blanks();
    if (!cursor.at('"')) return cursor.fail("a name in double quotes is expected");
    String name;
    read_string(cursor, &name);
    cursor.skip_blanks();
    if (!cursor.take(':')) return cursor.fail("`:` is expected");
    cursor.skip_blanks();
    each_member(name.value);
    cursor.skip_blanks();
    if (cursor.take('}')) return;
    if (!cursor.take(',')) return cursor.fail("`,` or `}` is expected");
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
    if (!cursor.take(',')) return cursor.fail("`,` or `]` is expected");
  }
}

// Its type.
std::string_view skip_value(Cursor& cursor, int depth) {
  if (depth > kMaxDepth) cursor.fail("nesting deeper than 100");
  if (cursor.at_end()) cursor.fail("a value is expected");
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
                                   {"true", "a truth value"},
                                   {"false", "a truth value"},
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

JsonText read_wanted(Cursor& cursor) {
  const std::size_t begin = cursor.offset();
  if (!cursor.at('"')) return {.outcome = JsonText::Outcome::kNoString, .offset = begin, .what = skip_value(cursor, 1)};
  String text;
  read_string(cursor, &text);
  return {.outcome = JsonText::Outcome::kFound,
          .text = std::move(text.value),
          .num_half_surrogates = text.num_half_surrogates,
          .offset = text.first_half};
}

JsonText read_outermost(Cursor& cursor, std::string_view field) {
  JsonText result{.outcome = JsonText::Outcome::kMissing};
  read_object(cursor, [&](std::string& name) {
    if (name == field) {
      result = read_wanted(cursor);
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
  JsonText result{.outcome = JsonText::Outcome::kNoObject};
  if (cursor.at('{')) {
    result = read_outermost(cursor, field);
  } else {
    result.what = skip_value(cursor, 0);
  }
  cursor.skip_blanks();
  if (!cursor.at_end()) cursor.fail("text behind the end of the value");
  if (!cursor.ok()) return {.outcome = JsonText::Outcome::kBroken, .offset = cursor.fault_offset(), .what = cursor.fault()};
  return result;
}

}  // namespace sluice::text
