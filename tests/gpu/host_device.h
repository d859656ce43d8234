// Runs kernels on the host: the same texts, compiled by the C++ compiler, one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gpu/device.h"
#include "gpu/kernel_cache.h"

namespace sluice::gpu::test {

// Compiles to a shared library. `sanitize`: with -fsanitize=undefined.
class HostCompiler final : public Compiler {
 public:
  std::string identity() const override;
  std::string compile(const Sources& sources) const override;
};

// One launch, for tests of the host logic.
struct Launch {
  const Program* program;
  std::string entry, settings;
  Grid grid;
  std::string arguments;  // their bytes
};

// InvariantError if the arguments do not have the types of the kernel's parameters, if a block has
// more threads than the kernel allows, or if the threads of a block or warp wait at different
// places.
class HostDevice final : public Device {
 public:
  // Threads and warps run in ascending or descending order. Correct kernels do not depend on it.
  enum class Order { kAscending, kDescending };
  explicit HostDevice(Order order = Order::kAscending);
  ~HostDevice() override;
  void launch(const Kernel& kernel, const Grid& grid, std::span<const Argument> arguments) override;
  const std::vector<Launch>& launches() const { return launches_; }

 private:
  struct Module;
  Module& module_of(const Kernel& kernel);

  Order order_;
  HostCompiler compiler_;
  KernelCache cache_;
  std::map<std::pair<const Program*, std::string>, std::unique_ptr<Module>> modules_;
  std::vector<Launch> launches_;
};

}  // namespace sluice::gpu::test
