// A libcudnn.so.9 with the names of cuDNN's functions, for the test that looks them up.
#include <cstddef>

extern "C" {
std::size_t cudnnGetVersion() { return 90900; }
const char* cudnnGetErrorString(int) { return "bad parameter"; }
void cudnnGetLastErrorString(char*, std::size_t) {}
int cudnnCreate() { return 1; }
int cudnnSetStream() { return 1; }
int cudnnBackendCreateDescriptor() { return 1; }
int cudnnBackendDestroyDescriptor() { return 1; }
int cudnnBackendSetAttribute() { return 1; }
int cudnnBackendGetAttribute() { return 1; }
int cudnnBackendFinalize() { return 1; }
int cudnnBackendExecute() { return 1; }
}
