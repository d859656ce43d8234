#include "gpu/kernel_cache.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/home.h"
#include "base/log.h"
#include "base/text_format.h"

namespace sluice::gpu {
namespace {

constexpr std::size_t kHashDigits = 32;

// The names in `#include "NAME"` lines.
std::vector<std::string_view> includes_of(std::string_view content) {
  constexpr std::string_view kInclude = "#include \"";
  std::vector<std::string_view> names;
  for (std::size_t at = content.find(kInclude); at != content.npos;
       at = content.find(kInclude, at)) {
    at += kInclude.size();
    names.push_back(content.substr(at, content.find('"', at) - at));
  }
  return names;
}

// A file of the cache: the hash of the binary, then the binary.
std::string checked_binary(const std::string& file) {
  if (file.size() <= kHashDigits) return {};
  std::string binary = file.substr(kHashDigits);
  return hash_of(binary).hex() == file.substr(0, kHashDigits) ? binary : std::string();
}

}  // namespace

Sources sources_of(const Program& program, std::string_view settings) {
  Sources sources;
  const auto add = [&](std::string_view name) {
    const auto has_name = [&](const Text& text) { return text.name == name; };
    if (std::any_of(sources.texts.begin(), sources.texts.end(), has_name)) return;
    if (name == "settings.h") {
      sources.texts.push_back({name, settings});
      return;
    }
    const std::span<const Text> all = program.texts();
    const auto found = std::find_if(all.begin(), all.end(), has_name);
    invariant(found != all.end(), cat(program.main, " includes a text of the program, not ", name));
    sources.texts.push_back(*found);
  };
  add(program.main);
  for (std::size_t i = 0; i < sources.texts.size(); ++i)
    for (const std::string_view name : includes_of(sources.texts[i].content)) add(name);
  return sources;
}

KernelCache::KernelCache(const Compiler& compiler, std::filesystem::path directory)
    : compiler_(compiler), directory_(std::move(directory)) {}

std::string KernelCache::binary_of(const Program& program, std::string_view settings) {
  const Sources sources = sources_of(program, settings);
  Hasher hasher;
  const std::string identity = compiler_.identity();
  hasher.update_number(identity.size()).update(identity);
  for (const Text& text : sources.texts)
    hasher.update_number(text.name.size())
        .update(text.name)
        .update_number(text.content.size())
        .update(text.content);
  const std::filesystem::path path = directory_ / (hasher.digest().hex() + ".bin");
  try {
    if (std::filesystem::exists(path)) {
      std::string binary = checked_binary(read_file(path));
      if (!binary.empty()) return binary;
    }
  } catch (const std::exception&) {  // an unreadable file is compiled again
  }
  std::string binary = compiler_.compile(sources);
  try {
    real_files().create_directories(directory_);
    real_files().write_atomically(path, hash_of(binary).hex() + binary);
  } catch (const std::exception& error) {
    if (!std::exchange(warned_, true))
      log::warn(cat(directory_.string(), ": cannot keep compiled kernels (", error.what(),
                    "); each start compiles them again"));
  }
  return binary;
}

std::filesystem::path default_cache_directory() {
  if (const char* own = std::getenv("SLUICE_CACHE"); own != nullptr && *own != '\0')
    return std::filesystem::path(own) / "kernels";
  if (const char* all = std::getenv("XDG_CACHE_HOME"); all != nullptr && *all == '/')
    return std::filesystem::path(all) / "sluice/kernels";
  return std::filesystem::path(expand_home("SLUICE_CACHE", "~/.cache")) / "sluice/kernels";
}

}  // namespace sluice::gpu
