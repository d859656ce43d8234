#include "ops/cudnn_library.h"

#include <array>

#include "base/text_format.h"
#include "gpu/library.h"

namespace sluice::ops {

std::unique_ptr<CudnnLibrary> CudnnLibrary::load() {
  auto c = std::make_unique<CudnnLibrary>();
  c->library = gpu::open_library({"libcudnn.so.9"});
  if (c->library == nullptr) return nullptr;
  const bool complete = gpu::find_symbol(c->version, c->library, "cudnnGetVersion") &&
                        gpu::find_symbol(c->error_string, c->library, "cudnnGetErrorString") &&
                        gpu::find_symbol(c->last_error, c->library, "cudnnGetLastErrorString") &&
                        gpu::find_symbol(c->create_handle, c->library, "cudnnCreate") &&
                        gpu::find_symbol(c->set_stream, c->library, "cudnnSetStream") &&
                        gpu::find_symbol(c->create, c->library, "cudnnBackendCreateDescriptor") &&
                        gpu::find_symbol(c->destroy, c->library, "cudnnBackendDestroyDescriptor") &&
                        gpu::find_symbol(c->set, c->library, "cudnnBackendSetAttribute") &&
                        gpu::find_symbol(c->get, c->library, "cudnnBackendGetAttribute") &&
                        gpu::find_symbol(c->finalize, c->library, "cudnnBackendFinalize") &&
                        gpu::find_symbol(c->execute, c->library, "cudnnBackendExecute");
  return complete ? std::move(c) : nullptr;
}

std::string CudnnLibrary::explain(int error) const {
  std::array<char, 256> reason{};
  last_error(reason.data(), reason.size());
  reason.back() = '\0';
  return cat(error_string(error), " (", error, "): ", reason.data());
}

std::string cudnn_version_text(std::size_t v) {
  return cat(v / 10000, ".", v / 100 % 100, ".", v % 100);
}

}  // namespace sluice::ops
