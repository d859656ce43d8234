#include "compare/part.h"

#include <charconv>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

bool parse_count(std::string_view text, std::size_t& number) {
  constexpr std::size_t kMost = 10'000;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end && number >= 1 && number <= kMost;
}

}  // namespace

std::optional<Part> parse_part(std::string_view text) {
  const std::size_t slash = text.find('/');
  Part part;
  if (slash == std::string_view::npos || !parse_count(text.substr(0, slash), part.number) ||
      !parse_count(text.substr(slash + 1), part.count) || part.number > part.count)
    return std::nullopt;
  return part;
}

std::optional<store::RunLock> try_lock(const fs::path& directory, std::string* holder) {
  std::error_code ignored;
  if (!fs::exists(directory, ignored)) real_files().create_directories(directory);
  try {
    return store::RunLock(directory);
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kUsage) throw;
    const std::string_view what = error.what();
    const std::size_t begin = what.rfind("in use by ");
    if (holder != nullptr && begin != std::string_view::npos) *holder = what.substr(begin);
    return std::nullopt;
  }
}

store::RunLock lock_files(const fs::path& directory) {
  constexpr int kQuietAttempts = 10;  // a second
  const fs::path place = directory / "parts" / "files";
  std::string holder;
  for (int attempt = 0;; ++attempt) {
    if (auto lock = try_lock(place, &holder)) return std::move(*lock);
    if (attempt == kQuietAttempts)
      log::info(cat(directory.string(), ": another part measures or writes here (", holder,
                    "); waiting for it"));
    throw_if_stopped("waiting for another part of the comparison");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

std::optional<store::RunLock> try_lock_start(const fs::path& directory) {
  for (int attempt = 0;; ++attempt) {
    if (auto lock = try_lock(directory / "parts" / "start")) return lock;
    if (attempt == 10) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace sluice::compare
