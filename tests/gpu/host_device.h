// Runs kernels on the host: the same texts, compiled by the C++ compiler, one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gpu/device.h"
#include "gpu/kernel_cache.h"

namespace sluice::gpu::test {

// Compiles to a shared library. Results are kept in build/host_kernels, for all tests.
class HostCompiler final : public Compiler {
 public:
  std::string identity() const override;
  std::string compile(const Sources& sources) const override;
};

// A program that HostCompiler has compiled, loaded. InvariantError for an entry that it does not
// have.
class HostModule {
 public:
  explicit HostModule(const std::string& binary);
  bool has(const std::string& entry) const;
  std::string types_of(const std::string& entry) const;  // of the parameters, as in gpu::Argument
  // InvariantError if a block has more threads than the kernel allows, or if the threads of a block
  // or warp wait at different places.
  void run(const std::string& entry, const Grid& grid, const std::vector<const void*>& arguments,
           bool descending) const;

 private:
  std::shared_ptr<void> library_;
};

// One launch, for tests of the host logic.
struct Launch {
  const Program* program;
  std::string entry, settings;
  Grid grid;
  std::string arguments;  // their bytes
};

// InvariantError as HostModule, and if the arguments do not have the types of the parameters.
class HostDevice final : public Device {
 public:
  // Threads and warps run in ascending or descending order. Correct kernels do not depend on it.
  enum class Order { kAscending, kDescending };
  explicit HostDevice(Order order = Order::kAscending);
  void launch(const Kernel& kernel, const Grid& grid, std::span<const Argument> arguments) override;
  const std::vector<Launch>& launches() const { return launches_; }

 private:
  const HostModule& module_of(const Kernel& kernel);

  Order order_;
  HostCompiler compiler_;
  std::map<std::pair<const Program*, std::string>, std::unique_ptr<HostModule>> modules_;
  std::vector<Launch> launches_;
};

}  // namespace sluice::gpu::test
