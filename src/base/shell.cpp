#include "base/shell.h"

#include <filesystem>
#include <system_error>

#include "base/text_format.h"

namespace sluice {
namespace {

std::string replaced(std::string_view text, char what, std::string_view by) {
  std::string out;
  for (const char c : text) out += c == what ? std::string(by) : std::string(1, c);
  return out;
}

std::string byte_escape(unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 0xf]};
}

// Escapes all but printable ASCII. Inside $'...', \xNN is one byte.
std::string escaped(std::string_view word) {
  std::string out = "$'";
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\'' || c == '\\') {
      out += cat('\\', c);
    } else {
      out += byte >= 0x20 && byte < 0x7F ? std::string(1, c) : byte_escape(byte);
    }
  }
  return out + "'";
}

}  // namespace

std::string shell_word(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(word);
  if (printable(word, std::string::npos) != word) return escaped(word);
  return cat("'", replaced(word, '\'', "'\\''"), "'");
}

std::string shell_path(std::string_view path) {
  return shell_word(path.starts_with('-') ? cat("./", path) : std::string(path));
}

std::string shell_program(std::string_view argv0) {
  if (!argv0.starts_with("/proc/")) return shell_word(argv0.empty() ? "sluice" : argv0);
  std::error_code error;
  const std::filesystem::path target =
      std::filesystem::read_symlink(std::filesystem::path(argv0), error);
  return error || target.native().ends_with(" (deleted)") ? "sluice" : shell_word(target.native());
}

}  // namespace sluice
