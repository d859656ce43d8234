// Implements verify_checkpoint().
#include <algorithm>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/text_format.h"
#include "store/checkpoint_store.h"

namespace sluice::store {
namespace {

constexpr std::size_t kBlockBytes = 1 << 20;

// Regular files only: opening a pipe would block.
std::set<std::string> names_in(const fs::path& directory) {
  std::set<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (!fs::is_regular_file(it->symlink_status(gone))) {
      fail(ExitCode::kBadData, it->path().string(), "not a regular file");
    }
    names.insert(it->path().filename().string());
  }
  if (error)
    fail(ExitCode::kBadData, directory.string(), cat("cannot list directory: ", error.message()));
  return names;
}

void check_names(const fs::path& directory, const Manifest& manifest,
                 std::set<std::string> present) {
  present.erase(std::string(kManifestName));
  for (const ManifestFile& file : manifest.files) {
    if (present.erase(file.name) == 0) {
      fail(ExitCode::kBadData, (directory / file.name).string(),
           cat("missing; expected a file of ", file.size_bytes, " bytes, as in the manifest"));
    }
  }
  if (!present.empty())
    fail(ExitCode::kBadData, (directory / *present.begin()).string(),
         "file not listed in the manifest");
}

Hash128 hash_of_file(const fs::path& path, std::uint64_t size_bytes) {
  std::ifstream in(path, std::ios::binary);
  // One byte more, to detect a file that has grown.
  std::vector<char> block(std::min<std::uint64_t>(kBlockBytes, size_bytes + 1));
  Hasher hasher;
  std::uint64_t num_read = 0;
  while (in) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    hasher.update(std::string_view(block.data(), static_cast<std::size_t>(in.gcount())));
    num_read += static_cast<std::uint64_t>(in.gcount());
  }
  if (num_read != size_bytes) {
    fail(ExitCode::kBadData, path.string(), cat(num_read, " readable bytes"),
         cat(size_bytes, " bytes, as in the manifest"));
  }
  return hasher.digest();
}

void check_content(const fs::path& path, const ManifestFile& file) {
  std::error_code error;
  const std::uint64_t size_bytes = fs::file_size(path, error);
  if (error) fail(ExitCode::kBadData, path.string(), cat("cannot read: ", error.message()));
  if (size_bytes != file.size_bytes) {
    fail(ExitCode::kBadData, path.string(), cat(size_bytes, " bytes"),
         cat(file.size_bytes, " bytes, as in the manifest"));
  }
  const Hash128 hash = hash_of_file(path, size_bytes);
  if (hash != file.hash)
    fail(ExitCode::kBadData, path.string(), cat("hash ", hash.hex()),
         cat("hash ", file.hash.hex(), ", as in the manifest"));
}

}  // namespace

Manifest verify_checkpoint(const fs::path& directory) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored))
    fail(ExitCode::kMissingInput, directory.string(), "checkpoint directory not found");
  std::set<std::string> present = names_in(directory);
  const fs::path manifest_path = directory / kManifestName;
  if (!present.contains(std::string(kManifestName)))
    fail(ExitCode::kBadData, manifest_path.string(), "missing; expected a checkpoint manifest");
  Manifest manifest =
      parse_manifest(read_file(manifest_path, std::uint64_t{1} << 20), manifest_path.string());
  const auto step = checkpoint_step(fs::weakly_canonical(directory, ignored).filename().string());
  if (step && *step != manifest.step) {
    fail(ExitCode::kBadData, cat(manifest_path.string(), ": step"), cat(manifest.step),
         cat(*step, ", as in the directory name"));
  }
  check_names(directory, manifest, std::move(present));
  for (const ManifestFile& file : manifest.files) check_content(directory / file.name, file);
  return manifest;
}

}  // namespace sluice::store
