// cuDNN's functions for the fake card: those of tests/ops/fake_cudnn.h, which compute on the host.
#include <c10/util/Exception.h>

#include <vector>

#include "tests/fake_cuda/card.h"
#include "tests/ops/fake_cudnn.h"

namespace {

using sluice::ops::CudnnName;
using sluice::ops::CudnnObject;
using sluice::ops::CudnnType;

const sluice::ops::CudnnLibrary& library() {
  static const auto* const cudnn = new sluice::ops::test::FakeCudnn;
  return cudnn->library;
}

// cuDNN reads numbers in host memory when it starts; a replay would find others there.
std::vector<const void*> with_copies(const void* const* pointers, std::int64_t count) {
  std::vector<const void*> result(pointers, pointers + count);
  for (const void*& pointer : result)
    if (!sluice::fake_cuda::Card::current().contains(pointer))
      pointer = new float(*static_cast<const float*>(pointer));
  return result;
}

}  // namespace

extern "C" {

std::size_t cudnnGetVersion() { return library().version(); }
const char* cudnnGetErrorString(int error) { return library().error_string(error); }
void cudnnGetLastErrorString(char* text, std::size_t size) { library().last_error(text, size); }
int cudnnCreate(void** handle) { return library().create_handle(handle); }
int cudnnSetStream(void* handle, void* stream) { return library().set_stream(handle, stream); }
int cudnnBackendCreateDescriptor(CudnnObject kind, void** made) {
  return library().create(kind, made);
}
// A captured execution uses its descriptors again in each replay.
int cudnnBackendDestroyDescriptor(void*) { return 0; }
int cudnnBackendSetAttribute(void* descriptor, CudnnName name, CudnnType type, std::int64_t count,
                             const void* values) {
  if (name == CudnnName::kPackPointers) {
    const auto pointers = with_copies(static_cast<const void* const*>(values), count);
    return library().set(descriptor, name, type, count, pointers.data());
  }
  return library().set(descriptor, name, type, count, values);
}
int cudnnBackendGetAttribute(const void* descriptor, CudnnName name, CudnnType type,
                             std::int64_t count, std::int64_t* found, void* values) {
  return library().get(descriptor, name, type, count, found, values);
}
int cudnnBackendFinalize(void* descriptor) { return library().finalize(descriptor); }
int cudnnBackendExecute(void* handle, void* plan, void* pack) {
  sluice::fake_cuda::Card::current().run([=] {
    const int error = library().execute(handle, plan, pack);
    TORCH_CHECK(error == 0, "the fake cuDNN refuses a graph that it planned: ", error);
  });
  return 0;
}
}
