#include "store/checkpoint_listing.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/error.h"
#include "base/text_format.h"
#include "store/checkpoint_store.h"

namespace sluice::store {
namespace {

constexpr std::string_view kStepPrefix = "step-";

// The number, if `digits` is its canonical form.
std::optional<std::int64_t> to_count(std::string_view digits) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || std::to_string(value) != digits || value < 0) return std::nullopt;
  return value;
}

// N in "step-N" + suffix + PID.
std::optional<std::int64_t> step_before(std::string_view name, std::string_view suffix) {
  const std::size_t at = name.find(suffix);
  if (at == std::string_view::npos || !to_count(name.substr(at + suffix.size())))
    return std::nullopt;
  return checkpoint_step(name.substr(0, at));
}

std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    paths.push_back(it->path());
  if (error && error != std::errc::no_such_file_or_directory) {
    fail(ExitCode::kIo, directory.string(), cat("cannot list directory: ", error.message()));
  }
  return paths;
}

}  // namespace

std::string checkpoint_name(std::int64_t step) { return cat(kStepPrefix, step); }

std::optional<std::int64_t> checkpoint_step(std::string_view name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  return to_count(name.substr(kStepPrefix.size()));
}

std::vector<CheckpointSlot> list_checkpoints(const fs::path& directory) {
  std::vector<CheckpointSlot> slots;
  for (const fs::path& path : entries_of(directory)) {
    const std::string name = path.filename().string();
    if (const auto step = checkpoint_step(name)) slots.push_back({*step, false, path});
    if (const auto step = step_before(name, kReplacedSuffix)) slots.push_back({*step, true, path});
  }
  std::sort(slots.begin(), slots.end(), [](const CheckpointSlot& a, const CheckpointSlot& b) {
    return std::tuple(-a.step, a.replaced, a.path) < std::tuple(-b.step, b.replaced, b.path);
  });
  return slots;
}

std::vector<fs::path> list_temporaries(const fs::path& directory) {
  std::vector<fs::path> paths = entries_of(directory);
  std::erase_if(paths, [](const fs::path& path) {
    return !step_before(path.filename().string(), kTemporarySuffix);
  });
  return paths;
}

std::optional<Identity> identity_of(const fs::path& path) {
  struct ::stat found {};
  if (::lstat(path.c_str(), &found) != 0) return std::nullopt;
  return Identity(found.st_dev, found.st_ino);
}

std::optional<Identity> identity_of(int descriptor) {
  struct ::stat found {};
  if (::fstat(descriptor, &found) != 0) return std::nullopt;
  return Identity(found.st_dev, found.st_ino);
}

}  // namespace sluice::store
