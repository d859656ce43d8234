#include "data/block_encoder.h"

#include <algorithm>

#include "base/error.h"
#include "text/documents.h"

namespace sluice::data {

namespace {
constexpr std::size_t kBatchBytes = 256 << 10;
constexpr std::size_t kMaxBytesInFlight = 256 << 20;  // items can be documents of many megabytes
constexpr std::size_t kBytesPerItem = 64;             // overhead; bounds batches of tiny documents
}  // namespace

struct BlockEncoder::Batch {
  struct Result {
    std::size_t ids_end = 0;
    SplitCounts counts;  // of this item
  };
  std::vector<SplitItem> items;
  std::size_t num_bytes = 0;
  std::vector<std::int32_t> ids;
  std::vector<Result> results;
  std::exception_ptr error;
  bool done = false;  // guarded by mutex_
};

BlockEncoder::BlockEncoder(const text::Tokenizer& tokenizer, text::Separator separator,
                           int num_threads, const SplitPosition& start, Sink sink)
    : tokenizer_(tokenizer),
      separator_(separator),
      position_(start),
      sink_(std::move(sink)),
      filling_(std::make_unique<Batch>()) {
  require(separator != text::Separator::kEos || tokenizer.eos().has_value(), ExitCode::kUsage,
          "corpus.separator", "eos", "none, or a tokenizer with an end token");
  const int count = std::max(num_threads, 1);
  max_in_flight_ = 2 * static_cast<std::size_t>(count) + 2;
  for (int i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
}

BlockEncoder::~BlockEncoder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();
  }
  work_ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void BlockEncoder::add(SplitItem item) {
  filling_->num_bytes += item.text.size() + kBytesPerItem;
  filling_->items.push_back(std::move(item));
  if (filling_->num_bytes >= kBatchBytes) submit();
}

void BlockEncoder::submit() {
  if (filling_->items.empty()) return;
  bytes_in_flight_ += filling_->num_bytes;
  while (!in_flight_.empty() &&
         (in_flight_.size() >= max_in_flight_ || bytes_in_flight_ > kMaxBytesInFlight))
    deliver_oldest();
  in_flight_.push_back(std::exchange(filling_, std::make_unique<Batch>()));
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(in_flight_.back().get());
  }
  work_ready_.notify_one();
}

void BlockEncoder::finish() {
  submit();
  while (!in_flight_.empty()) deliver_oldest();
}

void BlockEncoder::deliver_oldest() {
  Batch& batch = *in_flight_.front();
  {
    std::unique_lock lock(mutex_);
    batch_done_.wait(lock, [&] { return batch.done; });
  }
  if (batch.error) std::rethrow_exception(batch.error);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const Batch::Result& result = batch.results[i];
    SplitCounts& sums = position_.counts;
    sums.num_documents += result.counts.num_documents;
    sums.num_bytes += result.counts.num_bytes;
    sums.num_words += result.counts.num_words;
    sums.num_tokens += result.counts.num_tokens;
    sums.num_unknown += result.counts.num_unknown;
    position_.num_blocks = batch.items[i].num_blocks;
    position_.inside_document = !batch.items[i].ends_document;
    sink_(std::span(batch.ids).subspan(begin, result.ids_end - begin), position_);
    begin = result.ids_end;
  }
  bytes_in_flight_ -= batch.num_bytes;
  in_flight_.pop_front();
}

void BlockEncoder::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_ready_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    Batch& batch = *waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    try {
      encode(batch);
    } catch (...) {
      batch.error = std::current_exception();
    }
    lock.lock();
    batch.done = true;
    batch_done_.notify_one();
  }
}

void BlockEncoder::encode(Batch& batch) const {
  const std::optional<std::int32_t> unknown = tokenizer_.unk();
  for (const SplitItem& item : batch.items) {
    const std::size_t begin = batch.ids.size();
    Batch::Result result;
    if (item.ends_document) {
      if (separator_ == text::Separator::kEos) batch.ids.push_back(*tokenizer_.eos());
      result.counts.num_documents = 1;
    } else {
      if (item.continues) {
        tokenizer_.encode_continuation(item.text, batch.ids);
      } else {
        tokenizer_.encode(item.text, batch.ids);
      }
      result.counts.num_bytes = item.text.size();
      result.counts.num_words = text::count_words(item.text) - (item.continues_word ? 1 : 0);
    }
    result.ids_end = batch.ids.size();
    result.counts.num_tokens = result.ids_end - begin;
    if (unknown.has_value()) {
      const auto first = batch.ids.begin() + static_cast<std::ptrdiff_t>(begin);
      result.counts.num_unknown =
          static_cast<std::uint64_t>(std::count(first, batch.ids.end(), *unknown));
    }
    batch.results.push_back(result);
  }
}

}  // namespace sluice::data
