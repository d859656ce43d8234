#include "config/write.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text_format.h"
#include "config/expected.h"

namespace sluice::config {
namespace {

constexpr std::size_t kWidth = 100;

// Words that YAML 1.1 or 1.2 parsers read as a bool, null or number, in lower case.
constexpr std::array<std::string_view, 11> kReserved = {"true", "false", "on",   "off", "yes", "no",
                                                        "y",    "n",     "null", "nan", "inf"};

bool is_plain_word(std::string_view text) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const auto is_inner = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '/' || c == '-';
  };
  const bool starts_well =
      !text.empty() && (is_letter(text[0]) || (text[0] == '/' && text.size() > 1));
  if (!starts_well || !std::all_of(text.begin(), text.end(), is_inner)) return false;
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kReserved.begin(), kReserved.end(), lower) == kReserved.end();
}

std::string hex_escape(char letter, unsigned value, int digits) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text = cat('\\', letter);
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    text += kDigits[(value >> shift) & 15U];
  return text;
}

// Non-ASCII characters that YAML requires to be escaped: C1 controls, line separators, the byte
// order mark. Returns the code point if `text` starts with one, else 0.
unsigned unprintable(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  if (byte(0) == 0xC2 && byte(1) >= 0x80 && byte(1) <= 0xA0) return byte(1);
  if (byte(0) == 0xE2 && byte(1) == 0x80 && (byte(2) == 0xA8 || byte(2) == 0xA9))
    return 0x2000 + byte(2) - 0x80;
  if (byte(0) == 0xEF && byte(1) == 0xBB && byte(2) == 0xBF) return 0xFEFF;
  if (byte(0) == 0xEF && byte(1) == 0xBF && byte(2) >= 0xBE) return 0xFFC0 + byte(2) - 0x80;
  return 0;
}

std::string double_quoted(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    const unsigned code = unprintable(text.substr(i, 3));
    if (c == '"' || c == '\\') {
      out += cat('\\', c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += hex_escape('x', byte, 2);
    } else if (code != 0) {
      out += hex_escape('u', code, 4);
      i += code < 0x100 ? 1 : 2;
    } else {
      out += c;
    }
  }
  return out + '"';
}

// ---- flow style ----
std::string flow_of(const Type& type, const void* value, std::string_view word);

std::string flow(const Scalar* scalar, const void* value, std::string_view word) {
  const std::string text = scalar->write(value);
  if (const auto quoted = scalar->is_quoted(value)) return *quoted ? double_quoted(text) : text;
  return scalar->info().is_text ? quoted_if_needed(text, word) : text;
}

std::string flow(const Maybe* maybe, const void* value, std::string_view) {
  const void* inner = maybe->get(value);
  if (inner == nullptr) return std::string(maybe->word.empty() ? "null" : maybe->word);
  return flow_of(maybe->inner, inner, maybe->word);
}

std::string flow(const List* list, const void* value, std::string_view) {
  std::string text;
  for (std::size_t i = 0; i < list->size(value); ++i) {
    text += cat(i == 0 ? "" : ", ", flow_of(list->item, list->at(value, i), {}));
  }
  return cat('[', text, ']');
}

// "key: value, key: value"
std::string entries_of(const Map& map, const void* value) {
  std::string text;
  for (std::size_t i = 0; i < map.size(value); ++i) {
    text += cat(i == 0 ? "" : ", ", quoted_if_needed(map.key(value, i)), ": ",
                flow_of(map.value, map.at(value, i), {}));
  }
  return text;
}

std::string flow(const Map* map, const void* value, std::string_view) {
  return cat('{', entries_of(*map, value), '}');
}

std::string entries_of(const Section& section, const void* value, std::string text) {
  for (const Row& row : section.rows) {
    if (row.rest) {
      const std::string rest = entries_of(*std::get<const Map*>(row.type), row.get(value));
      text += cat(text.empty() || rest.empty() ? "" : ", ", rest);
      continue;
    }
    text += cat(text.empty() ? "" : ", ", row.name, ": ", flow_of(row.type, row.get(value), {}));
  }
  return cat('{', text, '}');
}

std::string flow(const Section* section, const void* value, std::string_view) {
  return entries_of(*section, value, "");
}

std::string flow(const Choice* choice, const void* value, std::string_view) {
  const Section& kind = *choice->kinds[choice->index(value)];
  return entries_of(kind, choice->get(value), cat("type: ", quoted_if_needed(kind.kind)));
}

std::string flow_of(const Type& type, const void* value, std::string_view word) {
  return std::visit([&](const auto* shape) { return flow(shape, value, word); }, type);
}

// ---- block style ----
// Comment of a row: its documentation, then the allowed values unless they are obvious or already
// documented.
std::string comment_of(const Row& row) {
  std::string text(row.doc);
  const bool is_mapping = std::holds_alternative<const Section*>(row.type);
  const auto* scalar = std::get_if<const Scalar*>(&row.type);
  const bool is_plain_text = scalar != nullptr && (*scalar)->info().json_type == "string" &&
                             (*scalar)->info().options.empty();
  const auto options = scalar == nullptr ? std::span<const Option>() : (*scalar)->info().options;
  const bool all_named =
      !options.empty() && std::all_of(options.begin(), options.end(), [&](const Option& option) {
        return row.doc.find(cat('`', option.name, '`')) != std::string_view::npos;
      });
  const bool is_redundant = is_mapping || all_named ||
                            (is_plain_text && row.limits.words().empty()) ||
                            (scalar != nullptr && (*scalar)->info().json_type == "boolean");
  if (is_redundant) return text;
  const std::string allowed = expected_words(row.type, row.limits);
  return cat(text, text.empty() ? "" : " ", '[', allowed, ']');
}

enum class Mode { kValues, kDocs, kIdentity };

class YamlWriter {
 public:
  explicit YamlWriter(Mode mode) : mode_(mode) {}
  std::string take() { return std::move(text_); }

  void entries(const Section& section, const void* value, int indent,
               Affects section_affects = Affects::kWeights) {
    for (const Row& row : section.rows) {
      const Affects affects = row.affects.value_or(section_affects);
      const bool is_block = block_of(row.type, row.get(value)).first != nullptr;
      if (mode_ == Mode::kDocs && indent == 0 && !text_.empty()) text_ += '\n';
      if (mode_ == Mode::kDocs) comment(comment_of(row), indent);
      if (row.rest) {
        map_entries(*std::get<const Map*>(row.type), row.get(value), indent);
        continue;
      }
      const std::size_t begin = text_.size();
      if (is_block) {
        line(indent, cat(row.name, ':'));
        if (!block(row, value, indent, affects)) text_.resize(begin);
      } else if (is_written(affects)) {
        line(indent, cat(row.name, ':'));
        inline_value(row, value, indent);
      }
    }
  }

 private:
  // The section currently held by a type, with its value, if it is written as a block.
  static std::pair<const Section*, const void*> block_of(const Type& type, const void* value) {
    if (const auto* section = std::get_if<const Section*>(&type)) {
      return (*section)->rows.empty() ? std::pair<const Section*, const void*>{}
                                      : std::pair{*section, value};
    }
    if (const auto* choice = std::get_if<const Choice*>(&type)) {
      return {(*choice)->kinds[(*choice)->index(value)], (*choice)->get(value)};
    }
    const auto* maybe = std::get_if<const Maybe*>(&type);
    if (maybe == nullptr || (*maybe)->get(value) == nullptr) return {};
    return block_of((*maybe)->inner, (*maybe)->get(value));
  }

  static bool holds_choice(Type type) {
    while (const auto* maybe = std::get_if<const Maybe*>(&type)) type = (*maybe)->inner;
    return std::holds_alternative<const Choice*>(type);
  }

  bool is_written(Affects affects) const {
    return mode_ != Mode::kIdentity || rule_of(affects).in_identity;
  }

  // Returns whether anything was written.
  bool block(const Row& row, const void* value, int indent, Affects affects) {
    text_ += '\n';
    const std::size_t begin = text_.size();
    const auto [section, inner] = block_of(row.type, row.get(value));
    if (holds_choice(row.type) && is_written(affects))
      line(indent + 2, cat("type: ", quoted_if_needed(section->kind), '\n'));
    entries(*section, inner, indent + 2, affects);
    return text_.size() > begin;
  }

  void inline_value(const Row& row, const void* value, int indent) {
    const std::string text = write_flow(row.type, row.get(value));
    const auto* list = std::get_if<const List*>(&row.type);
    const auto* map = std::get_if<const Map*>(&row.type);
    const bool is_short =
        static_cast<std::size_t>(indent) + row.name.size() + 2 + text.size() <= kWidth;
    if (is_short || (list == nullptr && map == nullptr)) {
      text_ += cat(' ', text, '\n');
      return;
    }
    text_ += '\n';
    if (map != nullptr) return map_entries(**map, row.get(value), indent + 2);
    for (std::size_t i = 0; i < (*list)->size(row.get(value)); ++i) {
      line(indent + 2, cat("- ", write_flow((*list)->item, (*list)->at(row.get(value), i)), '\n'));
    }
  }

  void map_entries(const Map& map, const void* value, int indent) {
    for (std::size_t i = 0; i < map.size(value); ++i) {
      line(indent, cat(quoted_if_needed(map.key(value, i)), ": ",
                       write_flow(map.value, map.at(value, i)), '\n'));
    }
  }

  void comment(std::string_view text, int indent) {
    for (const std::string& part : wrapped(text, kWidth - 2 - static_cast<std::size_t>(indent)))
      line(indent, cat("# ", part, '\n'));
  }

  void line(int indent, std::string_view text) {
    text_.append(static_cast<std::size_t>(indent), ' ').append(text);
  }

  Mode mode_;
  std::string text_;
};

}  // namespace

std::string write_flow(const Type& type, const void* value) { return flow_of(type, value, {}); }

std::string quoted_if_needed(std::string_view text, std::string_view word) {
  return is_plain_word(text) && text != word ? std::string(text) : double_quoted(text);
}

std::string table_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t space = text.find_first_of(" \n");
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    if (word.empty()) continue;
    if (lines.empty() || lines.back().size() + 1 + word.size() > width) {
      lines.emplace_back(word);
    } else {
      lines.back() += cat(' ', word);
    }
  }
  return lines;
}

std::string write_yaml(const Section& section, const void* value, bool with_docs) {
  YamlWriter writer(with_docs ? Mode::kDocs : Mode::kValues);
  writer.entries(section, value, 0);
  return writer.take();
}

std::string write_identity(const Section& section, const void* value) {
  YamlWriter writer(Mode::kIdentity);
  writer.entries(section, value, 0);
  return writer.take();
}

}  // namespace sluice::config
