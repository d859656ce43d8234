#include "text/pattern.h"

namespace sluice::text {

Regex pattern_regex(const JsonField& pattern) {
  const auto text = pattern.find("String");
  if (!text.has_value()) {
    const JsonField expression = pattern.at("Regex");
    return Regex(expression.string(), expression.subject());
  }
  if (text->string().empty()) text->fail_here("a text that is not empty");
  return Regex(Regex::escaped(text->string()), text->subject());
}

}  // namespace sluice::text
