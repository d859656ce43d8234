// Encodes the items of a split on several threads and delivers the ids in order: the same ids for
// any number of threads, in bounded memory.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "data/split_reader.h"
#include "text/tokenizer.h"

namespace sluice::data {

class BlockEncoder {
 public:
  // Receives the ids of one item and the split position after it. Called on the thread that calls
  // add() and finish().
  using Sink = std::function<void(std::span<const std::int32_t> ids, const SplitPosition& after)>;
  // kUsage if `separator` is `eos` and the tokenizer has no end token.
  BlockEncoder(const text::Tokenizer& tokenizer, text::Separator separator, int num_threads,
               const SplitPosition& start, Sink sink);
  ~BlockEncoder();  // discards unfinished work
  BlockEncoder(const BlockEncoder&) = delete;
  BlockEncoder& operator=(const BlockEncoder&) = delete;

  void add(SplitItem item);  // may wait for the workers; rethrows their exceptions
  void finish();

 private:
  struct Batch;
  void submit();
  void deliver_oldest();
  void work();
  void encode(Batch& batch) const;

  const text::Tokenizer& tokenizer_;
  text::Separator separator_;
  SplitPosition position_;
  Sink sink_;
  std::size_t max_in_flight_;
  std::size_t bytes_in_flight_ = 0;
  std::unique_ptr<Batch> filling_;
  // Oldest first; modified only by the calling thread.
  std::deque<std::unique_ptr<Batch>> in_flight_;
  std::mutex mutex_;  // guards waiting_, stopping_ and Batch::done
  std::condition_variable work_ready_, batch_done_;
  std::deque<Batch*> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sluice::data
