// Kernels that are compiled at run time, and the interface of a device that runs them.
//
// A kernel is an entry of a program: text in the language of gpu/kernel.h, which is CUDA C++ with
// names for what the host must imitate. The same text runs on a GPU (gpu/cuda_device.h) and, for
// tests, on the host (tests/gpu/host_device.h).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace sluice::gpu {

// A source text that is part of this program. `name` is what #include finds: "ops/norm.cu".
struct Text {
  std::string_view name, content;
};

// `main`: the name of one of the texts, which includes the others it needs.
struct Program {
  std::string_view main;
  std::span<const Text> (*texts)();
};

// `settings`: the content of "settings.h", which the program includes: its compile-time constants.
struct Kernel {
  const Program* program;
  std::string settings;
  std::string entry;
};

// Blocks along x, y and z; threads, and bytes of dynamic_shared(), per block.
struct Grid {
  std::int64_t x = 1, y = 1, z = 1;
  std::int64_t threads = 256;
  std::int64_t shared_bytes = 0;
};

// An argument of a launch. `type`: p pointer, i int64, f float, d double.
struct Argument {
  const void* value;
  char type;
};

class Device {
 public:
  virtual ~Device() = default;
  // Starts the kernel on the current stream of the device. Arguments are copied. An empty grid
  // starts nothing.
  virtual void launch(const Kernel& kernel, const Grid& grid,
                      std::span<const Argument> arguments) = 0;
};

template <typename T>
constexpr char argument_type() {
  if constexpr (std::is_pointer_v<T>) return 'p';
  if constexpr (std::is_same_v<T, std::int64_t>) return 'i';
  if constexpr (std::is_same_v<T, float>) return 'f';
  if constexpr (std::is_same_v<T, double>) return 'd';
}

// Kernels take pointers, int64, float and double only, so that a call cannot disagree with the
// kernel by an implicit conversion; tests compare the types.
template <typename... Args>
void launch(Device& device, const Kernel& kernel, const Grid& grid, const Args&... args) {
  static_assert(((argument_type<Args>() != 0) && ...));
  const std::array<Argument, sizeof...(Args)> arguments{
      Argument{static_cast<const void*>(&args), argument_type<Args>()}...};
  device.launch(kernel, grid, arguments);
}

}  // namespace sluice::gpu
