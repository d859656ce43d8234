#include "run/suggested_prompt.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <sstream>
#include <vector>

#include "base/text_format.h"
#include "text/utf8.h"

namespace sluice::run {
namespace {

constexpr std::size_t kMaxWords = 5, kMaxCharacters = 40;
constexpr std::uint64_t kMaxTokens = 4096, kMaxDocuments = 64;  // to search
constexpr std::string_view kBlank = "___";

// Number of bytes of the first `count` characters of valid UTF-8.
std::size_t bytes_of(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  while (at < text.size() && count > 0) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) ++at;
    --count;
  }
  return at;
}

std::size_t num_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

// Words from the start of a document. A script without spaces yields one word, truncated.
std::vector<std::string> first_words(const std::string& document) {
  std::string text = document.substr(0, text::valid_utf8_prefix(document));
  // A leading dash would be parsed as an option.
  text.erase(0, std::min(text.find_first_not_of("- \t\r\n"), text.size()));
  std::istringstream in(text);
  std::vector<std::string> words;
  std::size_t length = 0;
  for (std::string word; words.size() < kMaxWords && in >> word;) {
    if (printable(word, std::string::npos) != word || word.find("__") != std::string::npos) break;
    if (words.empty()) word = word.substr(0, bytes_of(word, kMaxCharacters / 2));
    length += num_characters(word) + 1;
    if (length > kMaxCharacters) break;
    words.push_back(word);
  }
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += cat(text.empty() ? "" : " ", word);
  return text;
}

// Replaces the second word, or the second half of a single word.
std::string with_blank(std::vector<std::string> words) {
  if (words.size() > 1) {
    words[1] = kBlank;
    return joined(words);
  }
  return cat(words[0].substr(0, bytes_of(words[0], (num_characters(words[0]) + 1) / 2)), kBlank);
}

bool is_enough(const std::vector<std::string>& words) {
  return words.size() >= 3 || (words.size() == 1 && num_characters(words[0]) >= kMaxCharacters / 2);
}

}  // namespace

std::string suggested_prompt(const data::TokenStream& held_out, const text::Tokenizer& tokenizer,
                             bool fills_blanks) {
  std::vector<std::int32_t> ids(std::min(held_out.num_tokens(), kMaxTokens));
  std::vector<std::uint32_t> documents(ids.size());
  if (!ids.empty()) {
    held_out.read(0, ids);
    held_out.documents(0, documents);
  }
  std::vector<std::string> best;
  for (std::size_t begin = 0, count = 0;
       begin < ids.size() && count < kMaxDocuments && !is_enough(best); ++count) {
    std::vector<std::int32_t> document;
    std::size_t end = begin;
    for (; end < ids.size() && documents[end] == documents[begin]; ++end)
      if (ids[end] != tokenizer.eos().value_or(-1)) document.push_back(ids[end]);
    std::vector<std::string> words = first_words(tokenizer.decode(document));
    if (words.size() > best.size() || is_enough(words)) best = std::move(words);
    begin = end;
  }
  if (best.empty()) return fills_blanks ? "Some text with a ___ to fill" : "Some text to continue";
  return fills_blanks ? with_blank(std::move(best)) : joined(best);
}

}  // namespace sluice::run
