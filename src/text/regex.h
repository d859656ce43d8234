// Regular expressions of tokenizer.json: Oniguruma, the engine of the `tokenizers` library, so that
// syntax, Unicode classes and matches are the same.
// https://github.com/kkos/oniguruma/blob/master/doc/RE
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::text {

// Thread-safe.
class Regex {
 public:
  // `subject` appears in messages. kBadData if the pattern is invalid or longer than 64 KiB.
  Regex(std::string_view pattern, std::string_view subject);
  // A pattern that matches exactly `text`.
  static std::string escaped(std::string_view text);

  // Calls `each(begin, end)` for the non-overlapping matches in `text` (valid UTF-8), from left to
  // right; no empty match directly after another match. kBadData if matching needs more than ten
  // million backtracking steps.
  using Each = std::function<void(std::size_t begin, std::size_t end)>;
  void each_match(std::string_view text, const Each& each) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace sluice::text
