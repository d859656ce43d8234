#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/text_format.h"
#include "text/base64.h"
#include "text/charsmap.h"
#include "text/charsmap_check.h"
#include "text/pattern.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {

// Limits of what a hostile normalizer can produce; NFKC makes at most 18 characters of one.
constexpr std::size_t kFreeBytes = 1 << 20, kMaxGrowth = 32;

// A text with replaced matches. In the library, the new text comes from the last character that it
// replaces (NormalizedString::replace).
class Replacement {
 public:
  Replacement(const std::string& text, std::string_view content, Place& place)
      : text_(text), content_(content), place_(place), num_first_(place.num_first_bytes) {
    place_.num_first_bytes = 0;
  }
  void add(std::size_t begin, std::size_t end) {
    copy_to(begin);
    const bool is_first = num_first_ > 0 && (end == 0 || end <= num_first_);
    append(content_, is_first ? content_.size() : 0);
    done_ = end;
    any_ = true;
  }
  std::string finish() {
    if (!any_) {
      place_.num_first_bytes = num_first_;
      return text_;
    }
    copy_to(text_.size());
    return std::move(out_);
  }

 private:
  void copy_to(std::size_t end) {
    const std::size_t first = std::min(end, num_first_);
    append(std::string_view(text_).substr(done_, end - done_), first > done_ ? first - done_ : 0);
  }
  void append(std::string_view part, std::size_t num_first) {
    if (place_.num_first_bytes == out_.size()) place_.num_first_bytes += num_first;
    out_ += part;
  }

  const std::string& text_;
  std::string_view content_;
  Place& place_;
  std::size_t num_first_, done_ = 0;
  bool any_ = false;
  std::string out_;
};

std::string replace_matches(const Regex& regex, const std::string& text, std::string_view content,
                            Place& place) {
  Replacement replacement(text, content, place);
  regex.each_match(text, [&](std::size_t begin, std::size_t end) { replacement.add(begin, end); });
  return replacement.finish();
}

std::string replace_text(const std::string& text, std::string_view from, std::string_view to,
                         Place& place) {
  Replacement replacement(text, to, place);
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += from.size())
    replacement.add(at, at + from.size());
  return replacement.finish();
}

// Normalizes with a function of each character and its neighbours.
template <class Normalize>
std::string normalize_from(const std::string& text, Place& place, const Normalize& normalize) {
  std::string out = normalize(text);
  if (!place.is_first() || out.empty()) {
    place.num_first_bytes = 0;
    return out;
  }
  const std::string first = normalize(text.substr(0, place.num_first_bytes));
  place.num_first_bytes = std::max(first.size(), character_length(out));
  return out;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string unicode_form(const std::string& text, int options) {
  if (is_ascii(text)) return text;
  utf8proc_uint8_t* mapped = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                 static_cast<utf8proc_option_t>(options));
  invariant(size >= 0, "utf8proc cannot normalize valid UTF-8");
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, std::free);
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

// As the library: a grapheme of less than six bytes is replaced as a whole if one of its prefixes
// has a replacement; otherwise its characters are replaced one by one.
std::string precompiled(const Charsmap& map, const Regex& graphemes, const std::string& text) {
  std::string out;
  graphemes.each_match(text, [&](std::size_t begin, std::size_t end) {
    std::string_view grapheme = std::string_view(text).substr(begin, end - begin);
    if (grapheme.size() < 6) {
      if (const auto whole = map.replacement(grapheme)) {
        out += *whole;
        return;
      }
    }
    while (!grapheme.empty()) {
      const std::string_view character = grapheme.substr(0, character_length(grapheme));
      out += map.replacement(character).value_or(character);
      grapheme.remove_prefix(character.size());
    }
  });
  return out;
}

Charsmap charsmap_of(const JsonField& normalizer) {
  const JsonField field = normalizer.at("precompiled_charsmap");
  const auto table = base64_bytes(field.string());
  require(table.has_value(), ExitCode::kBadData, field.subject(), "invalid base64",
          "a normalization table in base64");
  const std::string_view fault = fault_of_charsmap(*table);
  require(fault.empty(), ExitCode::kBadData, field.subject(), fault, "a normalization table");
  return Charsmap(*table);
}

int unicode_options(std::string_view type) {
  constexpr int kComposed = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
                kDecomposed = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
  if (type == "NFC") return kComposed;
  if (type == "NFD") return kDecomposed;
  if (type == "NFKC") return kComposed | UTF8PROC_COMPAT;
  if (type == "NFKD") return kDecomposed | UTF8PROC_COMPAT;
  return 0;
}

}  // namespace

Place Place::start(std::string_view text) {
  return {.num_first_bytes = text.empty() ? 0 : character_length(text)};
}

Normalizer::Normalizer(const JsonField& normalizer) { add(normalizer); }

void Normalizer::add(const JsonField& normalizer) {
  if (steps_.size() >= kMaxPipelineSteps)
    normalizer.fail_here(cat("at most ", kMaxPipelineSteps, " normalizers"));
  const JsonField type_field = normalizer.at("type");
  const std::string& type = type_field.string();
  if (type == "Sequence") {
    const JsonField list = normalizer.at("normalizers").expect_list();
    for (std::size_t i = 0; i < list.size(); ++i) add(list.item(i));
  } else if (type == "Replace") {
    const std::string content = normalizer.at("content").string();
    const JsonField pattern = normalizer.at("pattern");
    if (const auto text = pattern.find("String"); text.has_value() && !text->string().empty()) {
      steps_.push_back([from = text->string(), content](const std::string& input, Place& place) {
        return replace_text(input, from, content, place);
      });
    } else {
      steps_.push_back(
          [regex = pattern_regex(pattern), content](const std::string& input, Place& place) {
            return replace_matches(regex, input, content, place);
          });
    }
  } else if (type == "Prepend") {
    steps_.push_back([text = normalizer.at("prepend").string()](std::string input, Place& place) {
      if (input.empty() || place.is_continuation) return input;
      if (place.is_first()) place.num_first_bytes += text.size();
      return text + input;
    });
  } else if (type == "Strip") {
    for (const auto& [key, pattern] :
         {std::pair{"strip_left", "\\A\\s+"}, {"strip_right", "\\s+\\z"}})
      if (normalizer.flag_or(key, true))
        steps_.push_back([regex = Regex(pattern, type)](const std::string& input, Place& place) {
          return replace_matches(regex, input, "", place);
        });
  } else if (type == "Precompiled") {
    steps_.push_back([map = charsmap_of(normalizer), graphemes = Regex("\\X", type)](
                         const std::string& input, Place& place) {
      return normalize_from(
          input, place, [&](const std::string& part) { return precompiled(map, graphemes, part); });
    });
  } else if (const int options = unicode_options(type); options != 0) {
    steps_.push_back([options](const std::string& input, Place& place) {
      return normalize_from(input, place,
                            [&](const std::string& part) { return unicode_form(part, options); });
    });
  } else {
    type_field.fail_here("Sequence, Replace, Prepend, Strip, NFC, NFD, NFKC, NFKD or Precompiled");
  }
}

std::string Normalizer::apply(std::string text, Place& place) const {
  const std::size_t limit = kFreeBytes + kMaxGrowth * text.size();
  for (const Step& step : steps_) {
    text = step(std::move(text), place);
    require(text.size() <= limit, ExitCode::kBadData, "tokenizer.json: normalizer",
            human_bytes(text.size()), cat("at most ", human_bytes(limit), " of text"));
  }
  return text;
}

}  // namespace sluice::text
