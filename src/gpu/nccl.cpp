#include "gpu/nccl.h"

#include "base/text_format.h"
#include "gpu/library.h"

namespace sluice::gpu {

std::unique_ptr<NcclLibrary> NcclLibrary::load() {
  auto nccl = std::make_unique<NcclLibrary>();
  nccl->library = open_library({"libnccl.so.2"});
  if (nccl->library == nullptr) return nullptr;
  const bool complete = find_symbol(nccl->unique_id, nccl->library, "ncclGetUniqueId") &&
                        find_symbol(nccl->create, nccl->library, "ncclCommInitRank") &&
                        find_symbol(nccl->all_reduce, nccl->library, "ncclAllReduce") &&
                        find_symbol(nccl->abort, nccl->library, "ncclCommAbort") &&
                        find_symbol(nccl->error_string, nccl->library, "ncclGetErrorString") &&
                        find_symbol(nccl->last_error, nccl->library, "ncclGetLastError");
  return complete ? std::move(nccl) : nullptr;
}

std::string NcclLibrary::explain(int error) const {
  return cat(error_string(error), " (", error, "): ", last_error(nullptr));
}

}  // namespace sluice::gpu
