#include "ops/torch_compat.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <malloc.h>
#include <stdlib.h>
#include <torch/headeronly/version.h>

#include "base/error.h"

constexpr bool kIsSupported = TORCH_VERSION_MAJOR > 2 ||
                              (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 11);
static_assert(kIsSupported, "LibTorch 2.11 or later is needed");

namespace sluice::ops {

std::string torch_version() { return TORCH_VERSION; }

void prepare_torch(int num_threads) {
  invariant(num_threads > 0, "the number of threads is positive");
  // Every step allocates the same sizes. Memory returned to the kernel would have to be faulted in
  // again page by page.
  constexpr int kOneGigabyte = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kOneGigabyte);
  mallopt(M_TRIM_THRESHOLD, 2 * (kOneGigabyte - 1));
  at::set_num_threads(num_threads);
  at::set_num_interop_threads(1);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setBenchmarkCuDNN(false);
  // Off by default, but NVIDIA's containers turn it on (TORCH_ALLOW_TF32_CUBLAS_OVERRIDE).
  at::globalContext().setAllowTF32CuBLAS(false);
  // cuBLAS is reproducible with workspaces of fixed size only; read when CUDA starts.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
}

}  // namespace sluice::ops
