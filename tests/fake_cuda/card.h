// A CUDA GPU for LibTorch whose memory is host memory and whose work runs on the host, at once.
// build/fake_cuda/libcuda.so.1, preloaded into a program that uses a CPU build of LibTorch, makes
// `cuda:0` a device, and more with $SLUICE_FAKE_CUDA_DEVICES: allocator, streams, graphs, ATen
// operations, the driver's functions and NVRTC. The program under test is unchanged, so that its
// whole path for GPUs runs without one.
//
// Stricter than a GPU where that finds faults: operations and kernels that receive memory of the
// host or of another card fail, uninitialized and freed memory contains NaN, and reading values
// during a capture fails.
#pragma once

#include <c10/core/DeviceGuard.h>
#include <c10/core/Stream.h>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace sluice::fake_cuda {

// What work records while its stream is captured, in order.
struct Recording {
  c10::DeviceIndex device = 0;
  c10::StreamId stream = 0;
  std::vector<std::function<void()>> work;
  std::vector<void*> freed;                                   // while recording: part of the graph
  std::vector<std::pair<void*, std::vector<char>>> contents;  // of memory when it began
};

// Memory: a caching allocator with the reports of LibTorch's. The card has
// $SLUICE_FAKE_CUDA_BYTES, 1 GiB if it is not set.
class Card {
 public:
  static int count();
  static Card& of(c10::DeviceIndex);
  // Of this thread.
  static c10::DeviceIndex& current_index();
  static Card& current() { return of(current_index()); }
  c10::Device device() const { return {c10::DeviceType::CUDA, index_}; }
  // In whose memory a block in use begins.
  static Card& owner(const void* block);

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

  c10::StreamId& current_stream() const;  // of this thread

 private:
  using Lock = std::unique_lock<std::recursive_mutex>;
  explicit Card(c10::DeviceIndex);
  void drop_cache();
  // Waits while another stream is captured: end_capture() would undo what this one does.
  Lock lock_for_work();

  const c10::DeviceIndex index_;
  mutable std::recursive_mutex mutex_;
  std::condition_variable_any capture_ended_;
  std::size_t total_bytes_, used_bytes_ = 0, cached_bytes_ = 0, peak_bytes_ = 0;
  std::map<const char*, std::size_t> blocks_;  // in use: address and size
  std::multimap<std::size_t, void*> cache_;
  std::shared_ptr<Recording> recording_;
};

}  // namespace sluice::fake_cuda
