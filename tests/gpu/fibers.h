// The threads of one block as fibers of one host thread.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace sluice::gpu::test {

struct BlockPosition {
  int thread = 0, block[3] = {0, 0, 0}, blocks_x = 1;
};

// Runs body() once per thread of a block. Inside, position(), sync() and gather() act for the
// thread that runs. A fiber runs one thread after the other until one has to wait, so that kernels
// that never wait need only one.
class Fibers {
 public:
  Fibers() = default;
  Fibers(const Fibers&) = delete;
  ~Fibers();
  // InvariantError if threads wait for others that will not come.
  void run_block(const BlockPosition& block, int num_threads, bool descending,
                 const std::function<void()>& body);

  static const BlockPosition& position();
  static void sync();
  static const void* gather(const void* mine, unsigned bytes);

 private:
  enum class State { kRunning, kAtWarp, kAtBlock, kDone };
  static constexpr int kLanes = 32;
  static constexpr unsigned kGatherBytes = 64;
  struct Thread {
    State state = State::kDone;
    int fiber = -1;
    unsigned num_gathers = 0;
  };
  struct Fiber {
    ucontext_t entry{};  // until it has started
    jmp_buf context{};
    bool started = false;
    std::unique_ptr<std::byte[]> stack;
    int thread = -1;
  };
  struct Warp {
    // Two rounds: a lane may start the next one before all have read this one.
    alignas(16) std::byte lanes[2][kLanes * kGatherBytes];
  };
  static void enter();
  void work();
  void wait(State state);
  void resume(int fiber);
  bool release(int first, int end, State state);

  BlockPosition position_;
  jmp_buf scheduler_{};
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  const std::function<void()>* body_ = nullptr;
  int next_ = 0, running_ = -1;
  bool descending_ = false;
};

}  // namespace sluice::gpu::test
