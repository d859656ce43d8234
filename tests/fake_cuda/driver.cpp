// The CUDA driver's functions. Modules are shared libraries, compiled by build/fake_cuda/libnvrtc.
#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>

#include "base/file.h"
#include "tests/base/temporary_directory.h"
#include "tests/fake_cuda/card.h"
#include "tests/gpu/host_device.h"

namespace {

using sluice::fake_cuda::Card;
using sluice::gpu::test::HostModule;

enum Result {
  kSuccess = 0,
  kInvalidValue = 1,
  kInvalidHandle = 400,
  kNotFound = 500,
  kIllegalAddress = 700
};

// On the card that was current when it was loaded.
struct Module {
  HostModule host;
  const Card* card = &Card::current();
};
struct Function {
  const Module* module;
  std::string name;
};

std::size_t size_of_library(const char* image) {
  Elf64_Ehdr header{};
  std::memcpy(&header, image, sizeof header);
  std::size_t size = header.e_shoff + std::size_t{header.e_shnum} * header.e_shentsize;
  for (int i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section{};
    std::memcpy(&section, image + header.e_shoff + i * sizeof section, sizeof section);
    if (section.sh_type != SHT_NOBITS) size = std::max(size, section.sh_offset + section.sh_size);
  }
  return size;
}

}  // namespace

extern "C" {

int cuInit(unsigned) { return kSuccess; }
int cuDeviceGetCount(int* count) {
  *count = Card::count();
  return kSuccess;
}
int cuDeviceGetName(char* name, int length, int) {
  std::strncpy(name, "Fake H100", static_cast<std::size_t>(length));
  return kSuccess;
}
int cuDeviceTotalMem_v2(std::size_t* bytes, int device) {
  *bytes = Card::of(static_cast<c10::DeviceIndex>(device)).total_bytes();
  return kSuccess;
}
int cuDriverGetVersion(int* version) {
  *version = 13000;
  return kSuccess;
}
int cuDeviceGetAttribute(int* value, int attribute, int) {
  constexpr int kMultiprocessors = 16, kMajor = 75, kMinor = 76;
  *value = attribute == kMultiprocessors ? 4 : attribute == kMajor ? 9 : 0;
  return attribute == kMultiprocessors || attribute == kMajor || attribute == kMinor
             ? kSuccess
             : kInvalidValue;
}
int cuGetErrorString(int error, const char** text) {
  *text = error == kIllegalAddress ? "an illegal memory access was encountered" : "invalid value";
  return kSuccess;
}

int cuModuleLoadData(void** module, const void* image) {
  const auto* bytes = static_cast<const char*>(image);
  *module = new Module{HostModule(std::string(bytes, size_of_library(bytes)))};
  return kSuccess;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
  const auto* loaded = static_cast<const Module*>(module);
  if (!loaded->host.has(name)) return kNotFound;
  *function = new Function{loaded, name};
  return kSuccess;
}
int cuFuncSetAttribute(void*, int, int) { return kSuccess; }

int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned,
                   unsigned, unsigned shared_bytes, void* stream, void** arguments, void**) {
  const Function& f = *static_cast<const Function*>(function);
  Card& card = Card::current();
  if (f.module->card != &card) return kInvalidHandle;
  if (reinterpret_cast<std::intptr_t>(stream) != card.current_stream()) return kInvalidValue;
  const std::string types = f.module->host.types_of(f.name);
  std::string values;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const void* address = nullptr;
    if (types[i] == 'p') std::memcpy(&address, arguments[i], sizeof address);
    if (address != nullptr && !card.contains(address)) return kIllegalAddress;
    char value[8] = {};
    std::memcpy(value, arguments[i], types[i] == 'f' ? 4 : 8);
    values.append(value, sizeof value);
  }
  const sluice::gpu::Grid grid{
      .x = x, .y = y, .z = z, .threads = threads, .shared_bytes = shared_bytes};
  card.run([=] {
    std::vector<const void*> pointers;
    for (std::size_t i = 0; i < types.size(); ++i) pointers.push_back(values.data() + 8 * i);
    f.module->host.run(f.name, grid, pointers, /*descending=*/false);
  });
  return kSuccess;
}
}
