# Defines the target sluice::libtorch.
#
# TorchConfig.cmake is only used to locate LibTorch. Including it would require a CUDA toolkit for
# CUDA wheels, although code that only calls ATen needs none, warn about missing libraries that are
# not needed, and link MKL's OpenMP if CMake finds one.

find_path(SLUICE_TORCH_CONFIG_DIR TorchConfig.cmake HINTS ${Torch_DIR} $ENV{Torch_DIR}
          PATH_SUFFIXES Torch share/cmake/Torch torch/share/cmake/Torch NO_CACHE)
if(NOT SLUICE_TORCH_CONFIG_DIR)
  message(FATAL_ERROR "LibTorch not found: run scripts/setup.sh, or pass -DCMAKE_PREFIX_PATH="
                      "$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path)')")
endif()
file(REAL_PATH ${SLUICE_TORCH_CONFIG_DIR}/../../.. SLUICE_TORCH_ROOT)

set(version_header ${SLUICE_TORCH_ROOT}/include/torch/headeronly/version.h)
if(NOT EXISTS ${version_header})
  set(version_header ${SLUICE_TORCH_ROOT}/include/torch/csrc/api/include/torch/version.h)
endif()
file(STRINGS ${version_header} version_lines REGEX "define TORCH_VERSION_(MAJOR|MINOR) ")
string(REGEX REPLACE "[^0-9]*([0-9]+)[^0-9]+([0-9]+).*" "\\1.\\2"
       SLUICE_TORCH_VERSION "${version_lines}")
message(STATUS "LibTorch ${SLUICE_TORCH_VERSION} in ${SLUICE_TORCH_ROOT}")

# The oldest and newest LibTorch the tests were run with. scripts/setup.sh reads these lines.
set(SLUICE_TORCH_OLDEST 2.11)
set(SLUICE_TORCH_NEWEST 2.15)
if(SLUICE_TORCH_VERSION VERSION_LESS SLUICE_TORCH_OLDEST)
  message(FATAL_ERROR "LibTorch ${SLUICE_TORCH_VERSION} in ${SLUICE_TORCH_ROOT}; "
                      "expected ${SLUICE_TORCH_OLDEST} or later")
elseif(SLUICE_TORCH_VERSION VERSION_GREATER SLUICE_TORCH_NEWEST)
  message(WARNING "LibTorch ${SLUICE_TORCH_VERSION} is newer than ${SLUICE_TORCH_NEWEST}, the "
                  "newest tested version. If the build or a test fails, "
                  "install torch ${SLUICE_TORCH_NEWEST}.")
endif()

# Use only the OpenMP runtime shipped with libtorch. at::parallel_for is parallel only when compiled
# with -fopenmp; the flag must not reach the linker, which would add the system's runtime.
set(torch_lib ${SLUICE_TORCH_ROOT}/lib)
file(GLOB openmp_runtime ${torch_lib}/libgomp*.so*)
if(NOT openmp_runtime)
  set(openmp_runtime gomp)
endif()
add_library(sluice::libtorch INTERFACE IMPORTED)
target_include_directories(sluice::libtorch SYSTEM INTERFACE ${SLUICE_TORCH_ROOT}/include)
target_compile_options(sluice::libtorch INTERFACE -fopenmp)
# The C++ standard library comes first: libtorch.so and libtorch_cpu.so export copies of parts of
# it, which would otherwise take precedence. Those in libtorch.so 2.11 for CUDA call null pointers.
# libtorch.so itself contains no LibTorch code; it loads the CUDA libraries of CUDA wheels, which
# register themselves.
target_link_libraries(sluice::libtorch INTERFACE
  -Wl,--push-state,--no-as-needed -lstdc++ ${torch_lib}/libtorch.so -Wl,--pop-state
  ${torch_lib}/libtorch_cpu.so ${torch_lib}/libc10.so ${openmp_runtime} Threads::Threads)
if(EXISTS ${torch_lib}/libtorch_cuda.so)
  # CUDA's own libraries are elsewhere, found through libtorch's rpath.
  target_link_options(sluice::libtorch INTERFACE -Wl,--allow-shlib-undefined)
endif()
set(CMAKE_BUILD_RPATH ${torch_lib})

# The interpreter whose site-packages contain this torch.
find_program(SLUICE_PYTHON python3 HINTS ${SLUICE_TORCH_ROOT}/../../../../bin NO_DEFAULT_PATH)
