#include "eval/blanks.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/text_format.h"
#include "text/utf8.h"

namespace sluice::eval {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::string_view kBlank = "___", kMark = "<extra_id_";
// A blank or a mark at `begin`.
struct Blank {
  std::size_t begin = 0, end = 0;
  std::string_view number = {};  // of a mark
};

// The first one in `text`; begin is npos if there is none.
Blank first_blank(std::string_view text) {
  constexpr std::size_t kNone = std::string_view::npos;
  const std::size_t underscores = text.find(kBlank);
  for (std::size_t at = text.find(kMark); at < underscores; at = text.find(kMark, at + 1)) {
    const std::size_t first = at + kMark.size(), last = text.find_first_not_of("0123456789", first);
    if (last != kNone && last > first && text[last] == '>')
      return {at, last + 1, text.substr(first, last - first)};
  }
  if (underscores == kNone) return {kNone, kNone};
  return {underscores, std::min(text.find_first_not_of('_', underscores), text.size())};
}

// The text around the blanks: one more part than there are blanks.
std::vector<std::string_view> parts_of(const Prompt& from) {
  std::string_view prompt = from.text;
  std::vector<std::string_view> parts;
  for (Blank blank = first_blank(prompt); blank.begin != std::string_view::npos;
       blank = first_blank(prompt)) {
    if (!blank.number.empty() && blank.number != cat(parts.size()))
      fail(from.origin.code, from.origin.name, prompt.substr(blank.begin, blank.end - blank.begin),
           cat(kMark, parts.size(), ">, since blanks are numbered in their order from 0"));
    std::string_view before = prompt.substr(0, blank.begin);
    if (before.ends_with(' ')) before.remove_suffix(1);
    parts.push_back(before);
    prompt.remove_prefix(blank.end);
  }
  parts.push_back(prompt);
  return parts;
}

}  // namespace

std::vector<Ids> encode_around_blanks(const text::Tokenizer& tokenizer,
                                      const data::SpanRules& rules, const Prompt& prompt) {
  const auto& [name, code] = prompt.origin;
  require(text::is_valid_utf8(prompt.text), code, name, printable(prompt.text), "valid UTF-8");
  const std::vector<std::string_view> parts = parts_of(prompt);
  const auto num_blanks = static_cast<std::int64_t>(parts.size()) - 1;
  if (num_blanks > rules.num_sentinels)
    fail(code, name, cat(num_blanks, " blanks"),
         cat("at most ", rules.num_sentinels, ", the number of sentinels"));
  std::vector<Ids> encoded;
  for (const std::string_view part : parts) tokenizer.encode(part, encoded.emplace_back());
  return encoded;
}

Ids joined_by_sentinels(const std::vector<Ids>& parts, const data::SpanRules& rules) {
  Ids ids = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    ids.push_back(rules.sentinel(static_cast<std::int64_t>(i) - 1));
    ids.insert(ids.end(), parts[i].begin(), parts[i].end());
  }
  return ids;
}

}  // namespace sluice::eval
