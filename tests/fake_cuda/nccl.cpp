// NCCL's functions, for the GPUs of processes on one machine: the sum is computed on the host, in
// memory that they share, in the order of the ranks.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <vector>

#include "gpu/nccl.h"
#include "tests/fake_cuda/card.h"

namespace {

using sluice::gpu::NcclId;

constexpr std::size_t kMostBytes = 64 << 20;  // of all processes

constexpr int kMostRanks = 64;

struct Shared {
  pthread_barrier_t barrier;
  int devices[kMostRanks];
  char bytes[kMostBytes];
};

struct Communicator {
  Shared* shared;
  int rank, size;
};

template <class T>
void add(Communicator& c, T* data, std::size_t count) {
  auto* const all = reinterpret_cast<T*>(c.shared->bytes);
  std::memcpy(all + static_cast<std::size_t>(c.rank) * count, data, count * sizeof(T));
  pthread_barrier_wait(&c.shared->barrier);
  for (std::size_t i = 0; i < count; ++i) {
    T sum = 0;
    for (int rank = 0; rank < c.size; ++rank)
      sum += all[static_cast<std::size_t>(rank) * count + i];
    data[i] = sum;
  }
  pthread_barrier_wait(&c.shared->barrier);
}

}  // namespace

extern "C" {

int ncclGetUniqueId(NcclId* id) {
  std::snprintf(id->bytes.data(), id->bytes.size(), "/sluice-fake-nccl-%d", ::getpid());
  return 0;
}

// Rank 0 has created the memory before the others know its name.
int ncclCommInitRank(void** made, int size, NcclId id, int rank) {
  const int file = ::shm_open(id.bytes.data(), O_RDWR | O_CREAT, 0600);
  if (file < 0 || ::ftruncate(file, sizeof(Shared)) != 0) return 2;
  void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (memory == MAP_FAILED) return 2;
  auto* const shared = static_cast<Shared*>(memory);
  auto* const ready = reinterpret_cast<volatile char*>(shared->bytes);
  if (rank == 0) {
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&shared->barrier, &attributes, static_cast<unsigned>(size));
    __sync_synchronize();
    *ready = 1;
  }
  while (*ready == 0) ::usleep(1000);
  __sync_synchronize();
  const int device = shared->devices[rank] = sluice::fake_cuda::Card::current_index();
  pthread_barrier_wait(&shared->barrier);
  if (rank == 0) ::shm_unlink(id.bytes.data());
  // NCCL refuses two ranks on one card; here they may share the only one.
  if (sluice::fake_cuda::Card::count() > 1 &&
      std::count(shared->devices, shared->devices + size, device) != 1)
    return 5;
  *made = new Communicator{shared, rank, size};
  return 0;
}

int ncclAllReduce(const void* from, void* to, std::size_t count, int type, int operation,
                  void* communicator, void*) {
  auto& c = *static_cast<Communicator*>(communicator);
  const std::size_t size = type == 8 ? sizeof(double) : sizeof(float);
  if (from != to || operation != 0 || (type != 7 && type != 8) ||
      count * size * static_cast<std::size_t>(c.size) > kMostBytes ||
      !sluice::fake_cuda::Card::current().contains(to))
    return 4;
  sluice::fake_cuda::Card::current().run([&c, to, count, type] {
    if (type == 8)
      add(c, static_cast<double*>(to), count);
    else
      add(c, static_cast<float*>(to), count);
  });
  return 0;
}

int ncclCommAbort(void* communicator) {
  delete static_cast<Communicator*>(communicator);
  return 0;
}

const char* ncclGetErrorString(int error) {
  return error == 5 ? "invalid usage" : error == 4 ? "invalid argument" : "unhandled system error";
}
const char* ncclGetLastError(void*) { return "of the fake"; }

}  // extern "C"
