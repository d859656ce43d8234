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

std::string replace_matches(const Regex& regex, std::string text, std::string_view content) {
  std::string out;
  std::size_t done = 0;
  regex.each_match(text, [&](std::size_t begin, std::size_t end) {
    out.append(text, done, begin - done).append(content);
    done = end;
  });
  if (done == 0 && out.empty()) return text;
  return out.append(text, done);
}

std::string replace_text(std::string text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = 0; (at = text.find(from, done)) != std::string::npos;
       done = at + from.size())
    out.append(text, done, at - done).append(to);
  return done == 0 ? text : out.append(text, done);
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
      steps_.push_back([from = text->string(), content](std::string input, Place) {
        return replace_text(std::move(input), from, content);
      });
    } else {
      steps_.push_back([regex = pattern_regex(pattern), content](std::string input, Place) {
        return replace_matches(regex, std::move(input), content);
      });
    }
  } else if (type == "Prepend") {
    steps_.push_back([text = normalizer.at("prepend").string()](std::string input, Place place) {
      return input.empty() || place == Place::kContinuation ? input : text + input;
    });
  } else if (type == "Strip") {
    for (const auto& [key, pattern] :
         {std::pair{"strip_left", "\\A\\s+"}, {"strip_right", "\\s+\\z"}})
      if (normalizer.flag_or(key, true))
        steps_.push_back([regex = Regex(pattern, type)](std::string input, Place) {
          return replace_matches(regex, std::move(input), "");
        });
  } else if (type == "Precompiled") {
    steps_.push_back(
        [map = charsmap_of(normalizer), graphemes = Regex("\\X", type)](
            const std::string& input, Place) { return precompiled(map, graphemes, input); });
  } else if (const int options = unicode_options(type); options != 0) {
    steps_.push_back(
        [options](const std::string& input, Place) { return unicode_form(input, options); });
  } else {
    type_field.fail_here("Sequence, Replace, Prepend, Strip, NFC, NFD, NFKC, NFKD or Precompiled");
  }
}

std::string Normalizer::apply(std::string text, Place place) const {
  const std::size_t limit = kFreeBytes + kMaxGrowth * text.size();
  for (const Step& step : steps_) {
    text = step(std::move(text), place);
    require(text.size() <= limit, ExitCode::kBadData, "tokenizer.json: normalizer",
            human_bytes(text.size()), cat("at most ", human_bytes(limit), " of text"));
  }
  return text;
}

}  // namespace sluice::text
