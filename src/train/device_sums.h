// Sums over the GPUs of the processes of a group, by NCCL: the work of a stream, for which the host
// does not wait, and which a CUDA graph can record.
//
// Why not c10d's ProcessGroupNCCL: its header needs those of CUDA at build time, and its threads
// query events, which a recording refuses.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "dist/group.h"
#include "gpu/nccl.h"

namespace sluice::train {

class DeviceSums {
 public:
  // All processes of the group call it, each with another GPU, which is the current one. kUsage
  // without NCCL; kIo if the GPUs cannot be connected.
  explicit DeviceSums(dist::Group& group);
  ~DeviceSums();
  DeviceSums(const DeviceSums&) = delete;
  DeviceSums& operator=(const DeviceSums&) = delete;

  // Replaces the tensor (fp32 or float64, contiguous, on the GPU) by the sum over all processes,
  // the same bits in all of them, on the current stream. All processes make these calls in the
  // same order.
  void add_all(const at::Tensor& tensor);

 private:
  void check(int error, const char* what) const;

  std::unique_ptr<gpu::NcclLibrary> nccl_;
  void* communicator_ = nullptr;
};

}  // namespace sluice::train
