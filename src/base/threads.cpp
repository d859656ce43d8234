#include "base/threads.h"

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/log.h"
#include "base/machine.h"
#include "base/text_format.h"

namespace sluice {
namespace {

constexpr int kMaxThreads = 1024;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const std::size_t first = text.find_first_not_of(kBlank);
  return first == std::string_view::npos
             ? std::string_view()
             : text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::optional<int> whole_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool ok = error == std::errc() && end == text.data() + text.size() && value >= 1 &&
                  value <= kMaxThreads;
  return ok ? std::optional(value) : std::nullopt;
}

// The first number of a comma-separated list; nullopt if any item is not a number.
std::optional<int> first_number(std::string_view list) {
  std::optional<int> first;
  while (true) {
    const std::size_t comma = list.find(',');
    const std::optional<int> number = whole_number(trimmed(list.substr(0, comma)));
    if (!number) return std::nullopt;
    if (!first) first = number;
    if (comma == std::string_view::npos) return first;
    list.remove_prefix(comma + 1);
  }
}

void warn_once(std::string_view value) {
  static const bool warned = [&] {
    log::warn(cat("ignoring OMP_NUM_THREADS: received `", printable(value),
                  "`; expected a whole number from 1 to ", kMaxThreads,
                  ", or a comma-separated list of them"));
    return true;
  }();
  static_cast<void>(warned);
}

}  // namespace

int auto_threads() {
  const char* value = std::getenv("OMP_NUM_THREADS");
  if (value == nullptr || trimmed(value).empty()) return machine().num_cpus;
  if (const std::optional<int> number = first_number(value)) return *number;
  warn_once(value);
  return machine().num_cpus;
}

}  // namespace sluice
