#include "text/token_decoder.h"

#include <numeric>

#include "base/error.h"
#include "base/text_format.h"
#include "text/byte_level.h"
#include "text/pattern.h"
#include "text/sentencepiece_model.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {

// Limits of what a hostile decoder can produce.
constexpr std::size_t kFreeBytes = 1 << 20, kMaxGrowth = 32;

using Tokens = std::vector<std::string>;

std::string joined(const Tokens& tokens) {
  return std::accumulate(tokens.begin(), tokens.end(), std::string());
}

// The code point of the first character of `text` and its length.
std::pair<std::uint32_t, std::size_t> first_code_point(std::string_view text) {
  const std::size_t size = character_length(text);
  const auto first = static_cast<unsigned char>(text[0]);
  std::uint32_t code = size == 1 ? first : first & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i)
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
  return {code, size};
}

// The bytes of a token; the token itself if one of its characters is not in the mapping.
std::string byte_level_bytes(const std::string& token) {
  std::string bytes;
  for (std::string_view rest = token; !rest.empty();) {
    const auto [code, size] = first_code_point(rest);
    const int byte = byte_of_character(code);
    if (byte < 0) return token;
    bytes += static_cast<char>(byte);
    rest.remove_prefix(size);
  }
  return bytes;
}

void decode_byte_level(Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += byte_level_bytes(token);
  tokens = {with_valid_utf8(bytes)};
}

// Runs of byte pieces become their text, or one U+FFFD per byte if it is not valid UTF-8.
void decode_byte_pieces(Tokens& tokens) {
  Tokens out;
  std::string bytes;
  const auto flush = [&] {
    if (is_valid_utf8(bytes)) {
      if (!bytes.empty()) out.push_back(bytes);
    } else {
      out.insert(out.end(), bytes.size(), std::string(kReplacementCharacter));
    }
    bytes.clear();
  };
  for (std::string& token : tokens) {
    const int byte = byte_of_piece(token);
    if (byte >= 0) {
      bytes += static_cast<char>(byte);
      continue;
    }
    flush();
    out.push_back(std::move(token));
  }
  flush();
  tokens = std::move(out);
}

void decode_metaspace(std::string_view replacement, bool drops_first, Tokens& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::string text;
    for (std::string_view rest = tokens[i]; !rest.empty();) {
      const std::string_view character = rest.substr(0, character_length(rest));
      rest.remove_prefix(character.size());
      if (character != replacement)
        text += character;
      else if (i > 0 || !drops_first)
        text += ' ';
    }
    tokens[i] = std::move(text);
  }
}

void replace_in(const Regex& regex, std::string_view content, std::string& token) {
  std::string out;
  std::size_t done = 0;
  regex.each_match(token, [&](std::size_t begin, std::size_t end) {
    out.append(token, done, begin - done).append(content);
    done = end;
  });
  token = out.append(token, done);
}

// Removes up to `start` times `content` at the beginning and up to `stop` times at the end.
void strip(std::string_view content, std::int64_t start, std::int64_t stop, std::string& token) {
  std::string_view rest = token;
  for (std::int64_t i = 0; i < start && rest.starts_with(content); ++i)
    rest.remove_prefix(content.size());
  for (std::int64_t i = 0; i < stop && rest.ends_with(content); ++i)
    rest.remove_suffix(content.size());
  token = std::string(rest);
}

}  // namespace

TokenDecoder::TokenDecoder(const JsonField& decoder) {
  add(decoder);
  is_byte_level_ = steps_.size() == 1 && decoder.at("type").string() == "ByteLevel";
}

void TokenDecoder::add(const JsonField& decoder) {
  if (steps_.size() >= kMaxPipelineSteps)
    decoder.fail_here(cat("at most ", kMaxPipelineSteps, " decoders"));
  const JsonField type_field = decoder.at("type");
  const std::string& type = type_field.string();
  if (type == "Sequence") {
    const JsonField list = decoder.at("decoders").expect_list();
    for (std::size_t i = 0; i < list.size(); ++i) add(list.item(i));
  } else if (type == "ByteLevel") {
    steps_.push_back(decode_byte_level);
  } else if (type == "ByteFallback") {
    steps_.push_back(decode_byte_pieces);
  } else if (type == "Fuse") {
    steps_.push_back([](Tokens& tokens) { tokens = {joined(tokens)}; });
  } else if (type == "Metaspace") {
    const std::string scheme = decoder.string_or(
        "prepend_scheme", decoder.flag_or("add_prefix_space", true) ? "always" : "never");
    steps_.push_back([replacement = decoder.string_or("replacement", kWordBoundary),
                      drops_first = scheme != "never"](Tokens& tokens) {
      decode_metaspace(replacement, drops_first, tokens);
    });
  } else if (type == "Replace") {
    steps_.push_back([regex = pattern_regex(decoder.at("pattern")),
                      content = decoder.at("content").string()](Tokens& tokens) {
      for (std::string& token : tokens) replace_in(regex, content, token);
    });
  } else if (type == "Strip") {
    constexpr std::int64_t kMost = 1 << 20;
    const JsonField content = decoder.at("content");
    if (content.string().empty()) content.fail_here("one character");
    steps_.push_back([text = content.string(), start = decoder.at("start").whole_number(0, kMost),
                      stop = decoder.at("stop").whole_number(0, kMost)](Tokens& tokens) {
      for (std::string& token : tokens) strip(text, start, stop, token);
    });
  } else {
    type_field.fail_here("Sequence, ByteLevel, ByteFallback, Fuse, Metaspace, Replace or Strip");
  }
}

std::string TokenDecoder::decode(std::vector<std::string> tokens) const {
  if (steps_.empty()) {
    std::string text;
    for (const std::string& token : tokens) text += (text.empty() ? "" : " ") + token;
    return text;
  }
  const std::size_t limit = kFreeBytes + kMaxGrowth * joined(tokens).size();
  std::string text;
  for (const Step& step : steps_) {
    step(tokens);
    text = joined(tokens);
    require(text.size() <= limit, ExitCode::kBadData, "tokenizer.json: decoder",
            human_bytes(text.size()), cat("at most ", human_bytes(limit), " of text"));
  }
  return text;
}

}  // namespace sluice::text
