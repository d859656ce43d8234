// The functions of the CUDA driver that are used, loaded from libcuda.so.1 at run time: building
// needs no CUDA header or library. Tests substitute their own functions.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct CUmod_st;
struct CUfunc_st;
struct CUstream_st;

namespace sluice::gpu {

using DriverModule = CUmod_st*;
using DriverFunction = CUfunc_st*;
using DriverStream = CUstream_st*;

// Results are 0 or an error number of the driver.
struct Driver {
  std::shared_ptr<void> library;
  int (*init)(unsigned flags) = nullptr;
  int (*device_get_count)(int*) = nullptr;
  int (*module_load_data)(DriverModule*, const void*) = nullptr;
  int (*module_get_function)(DriverFunction*, DriverModule, const char*) = nullptr;
  int (*launch_kernel)(DriverFunction, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                       DriverStream, void** arguments, void** extra) = nullptr;
  int (*function_set_attribute)(DriverFunction, int attribute, int value) = nullptr;
  int (*device_get_attribute)(int*, int attribute, int device) = nullptr;
  int (*device_get_name)(char*, int length, int device) = nullptr;
  int (*device_total_memory)(std::size_t*, int device) = nullptr;
  int (*driver_get_version)(int*) = nullptr;
  int (*get_error_string)(int, const char**) = nullptr;

  // The driver of this machine, or nullptr without one.
  static std::unique_ptr<Driver> load();
  // InvariantError with the driver's explanation unless `result` is 0.
  void check(int result, const char* what) const;
};

// Properties of a device for `doctor` and for the choice of a compilation target.
struct Card {
  std::string name;          // "NVIDIA H200"
  int major = 0, minor = 0;  // compute capability
  int num_multiprocessors = 0;
  std::size_t memory_bytes = 0;
  int driver_version = 0;  // the newest CUDA version that it supports: 13000 is 13.0
};
Card card_of(const Driver& driver, int device);

// The release in the first line of /proc/driver/nvidia/version: "580.65.06"; empty if there is
// none.
std::string driver_release(std::string_view version_file);

}  // namespace sluice::gpu
