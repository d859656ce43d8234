// Shared libraries that are loaded at run time, so that the program starts without them.
#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <memory>

namespace sluice::gpu {

// The first library that can be loaded, or nullptr. It stays loaded: NVRTC does not free what it
// allocates when loaded.
inline std::shared_ptr<void> open_library(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (void* handle = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
      return {handle, [](void* library) { dlclose(library); }};
  return nullptr;
}

// Sets a function pointer; false if the library does not have it.
template <typename Function>
bool find_symbol(Function& function, const std::shared_ptr<void>& library, const char* name) {
  function = reinterpret_cast<Function>(dlsym(library.get(), name));
  return function != nullptr;
}

}  // namespace sluice::gpu
