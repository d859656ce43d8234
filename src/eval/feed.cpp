#include "eval/feed.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace sluice::eval {
namespace {

at::Tensor widened(const std::vector<std::int32_t>& ids, std::int64_t rows, std::int64_t columns,
                   at::Device device) {
  invariant(static_cast<std::int64_t>(ids.size()) == rows * columns,
            "to_device: one id per position of the batch");
  const at::Tensor host = at::empty(
      {rows, columns}, at::TensorOptions().dtype(at::kLong).pinned_memory(device.is_cuda()));
  std::copy(ids.begin(), ids.end(), static_cast<std::int64_t*>(host.mutable_data_ptr()));
  return device.is_cpu() ? host : host.to(device, /*non_blocking=*/true);
}

}  // namespace

model::Batch to_device(const data::Batch& batch, at::Device device) {
  return {widened(batch.inputs, batch.num_sequences, batch.input_length, device),
          widened(batch.targets, batch.num_sequences, batch.target_length, device)};
}

}  // namespace sluice::eval
