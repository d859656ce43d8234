#include "train/device_sums.h"

#include <algorithm>

#include "base/error.h"
#include "base/text_format.h"
#include "ops/cuda.h"

namespace sluice::train {

DeviceSums::DeviceSums(dist::Group& group) : nccl_(gpu::NcclLibrary::load()) {
  require(nccl_ != nullptr, ExitCode::kUsage, "train.device", "cuda",
          cat("cpu for a run of ", group.size(),
              " processes, because NCCL (libnccl.so.2, which LibTorch for CUDA comes with) is "
              "missing"));
  gpu::NcclId id;
  if (group.rank() == 0) check(nccl_->unique_id(&id), "ncclGetUniqueId");
  std::vector<double> bytes(id.bytes.begin(), id.bytes.end());
  group.broadcast(bytes);
  std::transform(bytes.begin(), bytes.end(), id.bytes.begin(),
                 [](double byte) { return static_cast<char>(byte); });
  group.end_if_lost();
  check(nccl_->create(&communicator_, group.size(), id, group.rank()), "ncclCommInitRank");
}

// Not by ncclCommDestroy, which waits for processes that may have ended.
DeviceSums::~DeviceSums() {
  if (communicator_ != nullptr) nccl_->abort(communicator_);
}

void DeviceSums::check(int error, const char* what) const {
  require(error == 0, ExitCode::kIo, what, error == 0 ? "" : nccl_->explain(error),
          "a sum over the GPUs of all processes");
}

void DeviceSums::add_all(const at::Tensor& tensor) {
  const bool is_double = tensor.scalar_type() == at::kDouble;
  invariant(tensor.is_cuda() && tensor.is_contiguous() &&
                (is_double || tensor.scalar_type() == at::kFloat),
            "DeviceSums: contiguous fp32 or float64 on a GPU");
  void* const data = tensor.data_ptr();
  check(nccl_->all_reduce(data, data, static_cast<std::size_t>(tensor.numel()),
                          is_double ? gpu::NcclType::kDouble : gpu::NcclType::kFloat, gpu::kNcclSum,
                          communicator_, ops::current_stream()),
        "ncclAllReduce");
}

}  // namespace sluice::train
