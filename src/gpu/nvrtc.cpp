#include "gpu/nvrtc.h"

#include <dlfcn.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/text_format.h"
#include "gpu/library.h"

namespace sluice::gpu {
namespace {

namespace fs = std::filesystem;

using NvrtcProgram = struct NvrtcProgramTag*;

// The parts of the standard library that the shared texts (ops/scalar_math.h) use.
constexpr std::array<Text, 4> kStandardHeaders{Text{"algorithm", R"(#pragma once
namespace std {
template <class T> constexpr T max(T a, T b) { return a < b ? b : a; }
template <class T> constexpr T min(T a, T b) { return b < a ? b : a; }
})"},
                                               Text{"bit", R"(#pragma once
namespace std {
template <class To, class From> inline To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "same size");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
})"},
                                               Text{"cmath", R"(#pragma once
namespace std {
inline float abs(float x) { return fabsf(x); }
inline float log1p(float x) { return log1pf(x); }
})"},
                                               Text{"cstdint", R"(#pragma once
namespace std {
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;
using int64_t = long long;
})"}};

// NVRTC loads this library by name, and older versions do not find it in their own directory. Once
// loaded, its name is known.
void load_builtins(const void* function_of_nvrtc) {
  Dl_info info{};
  if (dladdr(function_of_nvrtc, &info) == 0) return;
  std::error_code ignored;
  for (const auto& file : fs::directory_iterator(fs::path(info.dli_fname).parent_path(), ignored))
    if (file.path().filename().string().starts_with("libnvrtc-builtins.so"))
      dlopen(file.path().c_str(), RTLD_NOW | RTLD_LOCAL);
}

}  // namespace

struct Nvrtc::Functions {
  std::shared_ptr<void> library;
  int (*version)(int*, int*);
  int (*create)(NvrtcProgram*, const char*, const char*, int, const char* const*,
                const char* const*);
  int (*compile)(NvrtcProgram, int, const char* const*);
  int (*log_size)(NvrtcProgram, std::size_t*);
  int (*log)(NvrtcProgram, char*);
  int (*cubin_size)(NvrtcProgram, std::size_t*);
  int (*cubin)(NvrtcProgram, char*);
  int (*destroy)(NvrtcProgram*);
  // Since CUDA 11.2; else nullptr.
  int (*num_architectures)(int*);
  int (*architectures)(int*);
};

Nvrtc::Nvrtc(std::shared_ptr<const Functions> functions, Architecture architecture)
    : functions_(std::move(functions)), architecture_(architecture) {}

std::unique_ptr<Nvrtc> Nvrtc::open(const std::string& library, Architecture architecture) {
  // libcaffe2_nvrtc.so is a part of LibTorch that depends on the libnvrtc of its wheel, wherever
  // that is installed; dlsym also searches dependencies.
  std::shared_ptr<void> handle =
      library.empty() ? open_library({"libcaffe2_nvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"})
                      : open_library({library.c_str()});
  if (handle == nullptr) return nullptr;
  const auto f = std::make_shared<Functions>();
  f->library = std::move(handle);
  const bool complete = find_symbol(f->version, f->library, "nvrtcVersion") &&
                        find_symbol(f->create, f->library, "nvrtcCreateProgram") &&
                        find_symbol(f->compile, f->library, "nvrtcCompileProgram") &&
                        find_symbol(f->log_size, f->library, "nvrtcGetProgramLogSize") &&
                        find_symbol(f->log, f->library, "nvrtcGetProgramLog") &&
                        find_symbol(f->cubin_size, f->library, "nvrtcGetCUBINSize") &&
                        find_symbol(f->cubin, f->library, "nvrtcGetCUBIN") &&
                        find_symbol(f->destroy, f->library, "nvrtcDestroyProgram");
  if (!complete) return nullptr;
  if (!find_symbol(f->num_architectures, f->library, "nvrtcGetNumSupportedArchs") ||
      !find_symbol(f->architectures, f->library, "nvrtcGetSupportedArchs"))
    f->num_architectures = nullptr;
  load_builtins(reinterpret_cast<const void*>(f->version));
  return std::unique_ptr<Nvrtc>(new Nvrtc(f, architecture));
}

NvrtcFacts Nvrtc::facts() const {
  NvrtcFacts facts;
  int major = 0, minor = 0, count = 0;
  functions_->version(&major, &minor);
  facts.version = 1000 * major + 10 * minor;
  if (functions_->num_architectures != nullptr && functions_->num_architectures(&count) == 0) {
    facts.architectures.resize(static_cast<std::size_t>(count));
    if (functions_->architectures(facts.architectures.data()) != 0) facts.architectures.clear();
  }
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(functions_->version), &info) != 0)
    facts.path = info.dli_fname;
  return facts;
}

std::string Nvrtc::identity() const {
  int major = 0, minor = 0;
  functions_->version(&major, &minor);
  return cat("nvrtc ", major, ".", minor, " sm_", architecture_.major, architecture_.minor);
}

std::string Nvrtc::compile(const Sources& sources) const {
  // Null-terminated copies: texts are views.
  std::vector<std::string> strings;
  std::vector<const char*> names, contents;
  strings.reserve(2 * (sources.texts.size() + kStandardHeaders.size()));
  const auto add = [&](const Text& text) {
    names.push_back(strings.emplace_back(text.name).c_str());
    contents.push_back(strings.emplace_back(text.content).c_str());
  };
  for (const Text& text : sources.texts) add(text);
  for (const Text& text : kStandardHeaders) add(text);

  NvrtcProgram program{};
  const Functions& f = *functions_;
  int result = f.create(&program, contents[0], names[0], static_cast<int>(names.size()) - 1,
                        contents.data() + 1, names.data() + 1);
  invariant(result == 0, cat("nvrtcCreateProgram succeeds, not ", result));
  const auto destroy = [&f](NvrtcProgram created) { f.destroy(&created); };
  const std::unique_ptr<NvrtcProgramTag, decltype(destroy)> owner(program, destroy);
  const std::string target =
      cat("--gpu-architecture=sm_", architecture_.major, architecture_.minor);
  // -default-device: functions without annotation are device functions. 177: unused function.
  const std::array options{target.c_str(), "--std=c++17", "-default-device", "--diag-suppress=177"};
  result = f.compile(program, static_cast<int>(options.size()), options.data());
  std::size_t size = 0;
  f.log_size(program, &size);
  std::string log(size, '\0');
  if (size > 0) f.log(program, log.data());
  invariant(result == 0, cat(sources.texts[0].name, " compiles for ", target, ":\n", log));
  size = 0;
  f.cubin_size(program, &size);
  std::string cubin(size, '\0');
  result = f.cubin(program, cubin.data());
  invariant(result == 0 && !cubin.empty(), "nvrtcGetCUBIN returns a binary");
  return cubin;
}

}  // namespace sluice::gpu
