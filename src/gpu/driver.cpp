#include "gpu/driver.h"

#include <array>
#include <sstream>

#include "base/error.h"
#include "base/text_format.h"
#include "gpu/library.h"

namespace sluice::gpu {
namespace {

// CUdevice_attribute.
constexpr int kMultiprocessorCount = 16, kCapabilityMajor = 75, kCapabilityMinor = 76;

}  // namespace

std::unique_ptr<Driver> Driver::load() {
  auto d = std::make_unique<Driver>();
  d->library = open_library({"libcuda.so.1"});
  if (d->library == nullptr) return nullptr;
  const bool complete = find_symbol(d->init, d->library, "cuInit") &&
                        find_symbol(d->device_get_count, d->library, "cuDeviceGetCount") &&
                        find_symbol(d->module_load_data, d->library, "cuModuleLoadData") &&
                        find_symbol(d->module_get_function, d->library, "cuModuleGetFunction") &&
                        find_symbol(d->launch_kernel, d->library, "cuLaunchKernel") &&
                        find_symbol(d->function_set_attribute, d->library, "cuFuncSetAttribute") &&
                        find_symbol(d->device_get_attribute, d->library, "cuDeviceGetAttribute") &&
                        find_symbol(d->device_get_name, d->library, "cuDeviceGetName") &&
                        find_symbol(d->device_total_memory, d->library, "cuDeviceTotalMem_v2") &&
                        find_symbol(d->driver_get_version, d->library, "cuDriverGetVersion") &&
                        find_symbol(d->get_error_string, d->library, "cuGetErrorString");
  return complete ? std::move(d) : nullptr;
}

void Driver::check(int result, const char* what) const {
  if (result == 0) return;
  const char* explanation = nullptr;
  get_error_string(result, &explanation);
  invariant(false, cat("the CUDA driver accepts ", what, ", not error ", result, " (",
                       explanation != nullptr ? explanation : "unknown", ")"));
}

Card card_of(const Driver& driver, int device) {
  Card card;
  std::array<char, 256> name{};
  driver.check(driver.device_get_name(name.data(), static_cast<int>(name.size()), device),
               "cuDeviceGetName");
  card.name = name.data();
  const auto attribute = [&](int number) {
    int value = 0;
    driver.check(driver.device_get_attribute(&value, number, device), "cuDeviceGetAttribute");
    return value;
  };
  card.major = attribute(kCapabilityMajor);
  card.minor = attribute(kCapabilityMinor);
  card.num_multiprocessors = attribute(kMultiprocessorCount);
  driver.check(driver.device_total_memory(&card.memory_bytes, device), "cuDeviceTotalMem");
  driver.check(driver.driver_get_version(&card.driver_version), "cuDriverGetVersion");
  return card;
}

std::string driver_release(std::string_view version_file) {
  const std::string line(version_file.substr(0, version_file.find('\n')));
  std::istringstream words(line);
  for (std::string word; words >> word;)
    if (word.find('.') != std::string::npos &&
        word.find_first_not_of("0123456789.") == std::string::npos)
      return word;
  return "";
}

}  // namespace sluice::gpu
