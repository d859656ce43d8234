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

// The standard of NVRTC; no contraction, so that sums do not depend on the processor.
constexpr std::string_view kFlags = "-std=c++17 -O1 -w -fPIC -shared -ffp-contract=off";

std::string target_text() { return read_file(SLUICE_SOURCE_DIR "/tests/gpu/host_target.h"); }

std::string bytes_of(std::span<const Argument> arguments) {
  std::string bytes;
  for (const Argument& argument : arguments)
    bytes.append(static_cast<const char*>(argument.value), argument.type == 'f' ? 4 : 8);
  return bytes;
}

}  // namespace

std::string HostCompiler::identity() const {
  return cat("host ", __VERSION__, " ", kFlags, " ", hash_of(target_text()).hex());
}

std::string HostCompiler::compile(const Sources& sources) const {
  const sluice::testing::TemporaryDirectory folder;
  const auto write = [&](std::string_view name, std::string_view content) {
    const std::filesystem::path path = folder.path() / name;
    std::filesystem::create_directories(path.parent_path());
    real_files().write_atomically(path, content);
  };
  for (const Text& text : sources.texts) write(text.name, text.content);
  write("gpu/target.h", target_text());
  const std::string root = folder.path().string();
  const std::string command = cat(
      "g++ ", kFlags, " -x c++ -I", shell_word(root), " -o ", shell_word(root + "/binary"), " ",
      shell_word(cat(root, "/", sources.texts[0].name)), " 2> ", shell_word(root + "/messages"));
  const int result = std::system(command.c_str());
  invariant(result == 0,
            cat(sources.texts[0].name, " compiles for the host:\n", read_file(root + "/messages")));
  return read_file(root + "/binary");
}

struct HostDevice::Module {
  std::shared_ptr<void> library;
};

HostDevice::HostDevice(Order order)
    : order_(order), cache_(compiler_, SLUICE_BINARY_DIR "/host_kernels") {}
HostDevice::~HostDevice() = default;

HostDevice::Module& HostDevice::module_of(const Kernel& kernel) {
  std::unique_ptr<Module>& module = modules_[{kernel.program, kernel.settings}];
  if (module != nullptr) return *module;
  const std::string binary = cache_.binary_of(*kernel.program, kernel.settings);
  // The same path twice would give the same library.
  const sluice::testing::TemporaryDirectory folder;
  const std::filesystem::path path = folder.path() / "kernels.so";
  real_files().write_atomically(path, binary);
  module = std::make_unique<Module>(Module{open_library({path.c_str()})});
  invariant(module->library != nullptr, cat(kernel.program->main, " can be loaded"));
  void (*bind_runtime)(const HostRuntime*) = nullptr;
  invariant(find_symbol(bind_runtime, module->library, "bind_host_runtime"),
            "the host runtime is bound");
  bind_runtime(&kRuntime);
  return *module;
}

void HostDevice::launch(const Kernel& kernel, const Grid& grid,
                        std::span<const Argument> arguments) {
  launches_.push_back({kernel.program, kernel.entry, kernel.settings, grid, bytes_of(arguments)});
  const Module& module = module_of(kernel);
  void (*entry)(const void* const*) = nullptr;
  const char* (*types)() = nullptr;
  int (*most_threads)() = nullptr;
  invariant(find_symbol(entry, module.library, kernel.entry.c_str()) &&
                find_symbol(types, module.library, (kernel.entry + "_types").c_str()) &&
                find_symbol(most_threads, module.library, (kernel.entry + "_threads").c_str()),
            cat(kernel.program->main, " has a kernel ", kernel.entry));
  std::string given;
  std::vector<const void*> values;
  for (const Argument& argument : arguments) {
    given += argument.type;
    values.push_back(argument.value);
  }
  invariant(given == types(),
            cat(kernel.entry, " takes arguments of types ", types(), ", not ", given));
  invariant(grid.threads <= most_threads(),
            cat(kernel.entry, " has at most ", most_threads(), " threads, not ", grid.threads));
  invariant(grid.shared_bytes <= kMostSharedBytes,
            cat(kernel.entry, " asks for at most ", kMostSharedBytes, " shared bytes"));
  static thread_local Fibers fibers;
  BlockPosition block{.blocks_x = static_cast<int>(grid.x)};
  for (int z = 0; z < grid.z; ++z)
    for (int y = 0; y < grid.y; ++y)
      for (int x = 0; x < grid.x; ++x) {
        block.block[0] = x;
        block.block[1] = y;
        block.block[2] = z;
        fibers.run_block(block, static_cast<int>(grid.threads), order_ == Order::kDescending,
                         [&] { entry(values.data()); });
      }
}

}  // namespace sluice::gpu::test
