#include "app/completion.h"

#include <string>

namespace sluice::app {

std::string quoted_word(std::string_view text) {
  std::string out = "'";
  for (const char c : text) c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

std::string first_sentence(std::string_view text) {
  const std::size_t end = text.find_first_of(".;\n");
  const bool is_inside = end != std::string_view::npos && end + 1 < text.size() &&
                         text[end] == '.' && text[end + 1] != ' ';
  return std::string(is_inside ? text : text.substr(0, end));
}

}  // namespace sluice::app
