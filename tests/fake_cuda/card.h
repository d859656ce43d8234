// A CUDA GPU for LibTorch whose memory is host memory and whose work runs on the host, at once.
// build/fake_cuda/libcuda.so.1, preloaded into a program that uses a CPU build of LibTorch, makes
// `cuda:0` a device: allocator, streams, graphs, ATen operations, the driver's functions and NVRTC.
// The program under test is unchanged, so that its whole path for GPUs runs without one.
//
// Stricter than a GPU where that finds faults: operations and kernels that receive host memory
// fail, uninitialized and freed memory contains NaN, and reading values during a capture fails.
#pragma once

#include <c10/core/Stream.h>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace sluice::fake_cuda {

inline const c10::Device kDevice{c10::DeviceType::CUDA, 0};

// What work records while its stream is captured, in order.
struct Recording {
  c10::StreamId stream = 0;
  std::vector<std::function<void()>> work;
  std::vector<void*> freed;                                   // while recording: part of the graph
  std::vector<std::pair<void*, std::vector<char>>> contents;  // of memory when it began
};

// Memory: a caching allocator with the reports of LibTorch's. The card has
// $SLUICE_FAKE_CUDA_BYTES, 1 GiB if it is not set.
class Card {
 public:
  static Card& instance();

  void* allocate(std::size_t bytes);
  void release(void* block);
  void release_cache();
  std::size_t total_bytes() const { return total_bytes_; }
  std::size_t reserved_bytes() const { return used_bytes_ + cached_bytes_; }
  std::size_t peak_reserved_bytes() const { return peak_bytes_; }
  // Whether `address` is inside a block in use.
  bool contains(const void* address) const;

  // Runs work, and repeats it in each replay if the current stream of this thread is captured.
  void run(std::function<void()> work);
  bool is_captured(c10::StreamId stream) const;
  // Throws, naming `what`, if the current stream is captured: a GPU would refuse it.
  void refuse_in_capture(const char* what) const;
  void begin_capture(const std::shared_ptr<Recording>& recording);
  // Restores the memory: work that is captured does not run.
  void end_capture();
  void replay(const Recording& recording);
  void discard(Recording& recording);

  static c10::StreamId& current_stream();  // of this thread

 private:
  using Lock = std::unique_lock<std::recursive_mutex>;
  Card();
  void drop_cache();
  // Waits while another stream is captured: end_capture() would undo what this one does.
  Lock lock_for_work();

  mutable std::recursive_mutex mutex_;
  std::condition_variable_any capture_ended_;
  std::size_t total_bytes_, used_bytes_ = 0, cached_bytes_ = 0, peak_bytes_ = 0;
  std::map<const char*, std::size_t> blocks_;  // in use: address and size
  std::multimap<std::size_t, void*> cache_;
  std::shared_ptr<Recording> recording_;
};

}  // namespace sluice::fake_cuda
