// glibc's checked longjmp rejects a jump to another stack.
#undef _FORTIFY_SOURCE
#include "tests/gpu/fibers.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace sluice::gpu::test {
namespace {

constexpr std::size_t kStackBytes = 128 * 1024;
thread_local Fibers* active = nullptr;

// Unlike swapcontext, without the two system calls that save the signal mask.
void switch_context(jmp_buf& from, jmp_buf& to) {
  if (_setjmp(from) == 0) _longjmp(to, 1);
}

}  // namespace

Fibers::~Fibers() = default;

const BlockPosition& Fibers::position() { return active->position_; }
void Fibers::sync() { active->wait(State::kAtBlock); }

// Runs on the fiber's own stack.
void Fibers::enter() { active->work(); }

void Fibers::work() {
  Fiber& own = *fibers_[static_cast<std::size_t>(running_)];
  const int number = running_;
  while (true) {
    while (next_ < static_cast<int>(threads_.size())) {
      const int at = next_++;
      own.thread = descending_ ? static_cast<int>(threads_.size()) - 1 - at : at;
      Thread& thread = threads_[static_cast<std::size_t>(own.thread)];
      thread = {State::kRunning, number, 0};
      position_.thread = own.thread;
      (*body_)();
      threads_[static_cast<std::size_t>(own.thread)].state = State::kDone;
    }
    own.thread = -1;
    switch_context(own.context, scheduler_);
  }
}

void Fibers::wait(State state) {
  Fiber& own = *fibers_[static_cast<std::size_t>(running_)];
  threads_[static_cast<std::size_t>(own.thread)].state = state;
  switch_context(own.context, scheduler_);
}

const void* Fibers::gather(const void* mine, unsigned bytes) {
  Fibers& f = *active;
  invariant(bytes <= kGatherBytes, "a lane exchanges at most 64 bytes");
  const int number = f.position_.thread;
  Thread& thread = f.threads_[static_cast<std::size_t>(number)];
  Warp& warp = f.warps_[static_cast<std::size_t>(number / kLanes)];
  const unsigned round = thread.num_gathers++ % 2;
  std::memcpy(warp.lanes[round] + static_cast<unsigned>(number % kLanes) * bytes, mine, bytes);
  f.wait(State::kAtWarp);
  return warp.lanes[round];
}

void Fibers::resume(int fiber) {
  Fiber& f = *fibers_[static_cast<std::size_t>(fiber)];
  running_ = fiber;
  if (f.thread >= 0) {
    position_.thread = f.thread;
    threads_[static_cast<std::size_t>(f.thread)].state = State::kRunning;
  }
  if (f.started) {
    switch_context(scheduler_, f.context);
  } else if (_setjmp(scheduler_) == 0) {
    f.started = true;
    setcontext(&f.entry);
  }
}

// Resumes the threads [first, end) if all of them wait at `state`; at a block's barrier, threads
// that have returned do not count.
bool Fibers::release(int first, int end, State state) {
  int num_waiting = 0;
  for (int i = first; i < end; ++i) {
    const State now = threads_[static_cast<std::size_t>(i)].state;
    if (now == state)
      ++num_waiting;
    else if (now != State::kDone || state == State::kAtWarp)
      return false;
  }
  if (num_waiting == 0) return false;
  for (int k = first; k < end; ++k) {
    const int i = descending_ ? first + end - 1 - k : k;
    const Thread& thread = threads_[static_cast<std::size_t>(i)];
    if (thread.state == state) resume(thread.fiber);
  }
  return true;
}

void Fibers::run_block(const BlockPosition& block, int num_threads, bool descending,
                       const std::function<void()>& body) {
  invariant(num_threads % kLanes == 0, "a block consists of whole warps");
  active = this;
  position_ = block;
  descending_ = descending;
  body_ = &body;
  next_ = 0;
  threads_.assign(static_cast<std::size_t>(num_threads), {});
  warps_.resize(static_cast<std::size_t>(num_threads / kLanes));
  std::size_t num_started = 0;
  while (next_ < num_threads) {
    if (num_started == fibers_.size()) {
      auto fiber = std::make_unique<Fiber>();
      getcontext(&fiber->entry);
      fiber->stack = std::make_unique<std::byte[]>(kStackBytes);
      fiber->entry.uc_stack.ss_sp = fiber->stack.get();
      fiber->entry.uc_stack.ss_size = kStackBytes;
      fiber->entry.uc_link = nullptr;
      makecontext(&fiber->entry, &Fibers::enter, 0);
      fibers_.push_back(std::move(fiber));
    }
    resume(static_cast<int>(num_started++));
  }
  const auto is_done = [](const Thread& thread) { return thread.state == State::kDone; };
  while (!std::all_of(threads_.begin(), threads_.end(), is_done)) {
    bool progress = false;
    for (int first = 0; first < num_threads; first += kLanes)
      progress = release(first, first + kLanes, State::kAtWarp) || progress;
    if (!progress) progress = release(0, num_threads, State::kAtBlock);
    if (!progress) {
      fibers_.clear();  // their stacks hold unfinished threads
      invariant(false, "all threads of a block or warp wait at the same place");
    }
  }
}

}  // namespace sluice::gpu::test
