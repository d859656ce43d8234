#include "tests/gpu/host_device.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/shell.h"
#include "base/text_format.h"
#include "gpu/library.h"
#include "tests/base/temporary_directory.h"
#include "tests/gpu/fibers.h"

namespace sluice::gpu::test {
namespace {

// As in tests/gpu/host_target.h.
struct HostRuntime {
  const BlockPosition* (*current)();
  void (*sync)();
  const void* (*gather)(const void*, unsigned);
};
// The size of dynamic_shared() there.
constexpr std::int64_t kMostSharedBytes = 227 * 1024;
constexpr HostRuntime kRuntime{[] { return &Fibers::position(); }, &Fibers::sync, &Fibers::gather};

// The standard of NVRTC; no contraction, so that sums do not depend on the processor; shared memory
// of each library its own, because devices of several threads run kernels at the same time.
constexpr std::string_view kFlags =
    "-std=c++17 -O1 -w -fPIC -shared -ffp-contract=off -fno-gnu-unique";

std::string target_text() { return read_file(SLUICE_SOURCE_DIR "/tests/gpu/host_target.h"); }

std::string bytes_of(std::span<const Argument> arguments) {
  std::string bytes;
  for (const Argument& argument : arguments)
    bytes.append(static_cast<const char*>(argument.value), argument.type == 'f' ? 4 : 8);
  return bytes;
}

std::filesystem::path file_of(const std::string& compiler, const Sources& sources) {
  std::string text = compiler;
  for (const Text& source : sources.texts) text += cat('\0', source.name, '\0', source.content);
  return std::filesystem::path(SLUICE_BINARY_DIR) / "host_kernels" / hash_of(text).hex();
}

std::string compile_with_gcc(const Sources& sources) {
  const sluice::testing::TemporaryDirectory folder;
  const auto write = [&](std::string_view name, std::string_view content) {
    const std::filesystem::path path = folder.path() / name;
    std::filesystem::create_directories(path.parent_path());
    real_files().write_atomically(path, content);
  };
  for (const Text& text : sources.texts) write(text.name, text.content);
  write("gpu/target.h", target_text());
  const std::string root = folder.path().string();
  const std::string command =
      cat("LD_PRELOAD= g++ ", kFlags, " -x c++ -I", shell_word(root), " -o ",
          shell_word(root + "/binary"), " ", shell_word(cat(root, "/", sources.texts[0].name)),
          " 2> ", shell_word(root + "/messages"));
  const int result = std::system(command.c_str());
  invariant(result == 0,
            cat(sources.texts[0].name, " compiles for the host:\n", read_file(root + "/messages")));
  return read_file(root + "/binary");
}

}  // namespace

std::string HostCompiler::identity() const {
  return cat("host ", __VERSION__, " ", kFlags, " ", hash_of(target_text()).hex());
}

std::string HostCompiler::compile(const Sources& sources) const {
  const std::filesystem::path kept = file_of(identity(), sources);
  if (std::filesystem::exists(kept)) return read_file(kept);
  std::string binary = compile_with_gcc(sources);
  std::filesystem::create_directories(kept.parent_path());
  real_files().write_atomically(kept, binary);
  return binary;
}

HostModule::HostModule(const std::string& binary) {
  // The same path twice would give the same library.
  const sluice::testing::TemporaryDirectory folder;
  const std::filesystem::path path = folder.path() / "kernels.so";
  real_files().write_atomically(path, binary);
  library_ = open_library({path.c_str()});
  invariant(library_ != nullptr, "the compiled kernels can be loaded");
  void (*bind_runtime)(const HostRuntime*) = nullptr;
  invariant(find_symbol(bind_runtime, library_, "bind_host_runtime"), "the host runtime is bound");
  bind_runtime(&kRuntime);
}

bool HostModule::has(const std::string& entry) const {
  void (*found)(const void* const*) = nullptr;
  return find_symbol(found, library_, entry.c_str());
}

std::string HostModule::types_of(const std::string& entry) const {
  const char* (*types)() = nullptr;
  invariant(find_symbol(types, library_, (entry + "_types").c_str()),
            cat("there is a kernel ", entry));
  return types();
}

void HostModule::run(const std::string& entry, const Grid& grid,
                     const std::vector<const void*>& arguments, bool descending) const {
  void (*body)(const void* const*) = nullptr;
  int (*most_threads)() = nullptr;
  invariant(find_symbol(body, library_, entry.c_str()) &&
                find_symbol(most_threads, library_, (entry + "_threads").c_str()),
            cat("there is a kernel ", entry));
  invariant(grid.threads <= most_threads(),
            cat(entry, " has at most ", most_threads(), " threads, not ", grid.threads));
  invariant(grid.shared_bytes <= kMostSharedBytes,
            cat(entry, " asks for at most ", kMostSharedBytes, " shared bytes"));
  static thread_local Fibers fibers;
  BlockPosition block{.blocks_x = static_cast<int>(grid.x)};
  for (int z = 0; z < grid.z; ++z)
    for (int y = 0; y < grid.y; ++y)
      for (int x = 0; x < grid.x; ++x) {
        block.block[0] = x;
        block.block[1] = y;
        block.block[2] = z;
        fibers.run_block(block, static_cast<int>(grid.threads), descending,
                         [&] { body(arguments.data()); });
      }
}

HostDevice::HostDevice(Order order) : order_(order) {}

const HostModule& HostDevice::module_of(const Kernel& kernel) {
  std::unique_ptr<HostModule>& module = modules_[{kernel.program, kernel.settings}];
  if (module == nullptr)
    module = std::make_unique<HostModule>(
        compiler_.compile(sources_of(*kernel.program, kernel.settings)));
  return *module;
}

void HostDevice::launch(const Kernel& kernel, const Grid& grid,
                        std::span<const Argument> arguments) {
  launches_.push_back({kernel.program, kernel.entry, kernel.settings, grid, bytes_of(arguments)});
  const HostModule& module = module_of(kernel);
  std::string given;
  std::vector<const void*> values;
  for (const Argument& argument : arguments) {
    given += argument.type;
    values.push_back(argument.value);
  }
  const std::string types = module.types_of(kernel.entry);
  invariant(given == types,
            cat(kernel.entry, " takes arguments of types ", types, ", not ", given));
  module.run(kernel.entry, grid, values, order_ == Order::kDescending);
}

}  // namespace sluice::gpu::test
