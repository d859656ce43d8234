#include "tests/fake_cuda/card.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace sluice::fake_cuda {
namespace {

constexpr std::size_t kGranularity = 512;
constexpr int kNaN = 0xff;  // of every floating-point type, and -1

std::size_t rounded(std::size_t bytes) {
  return (bytes + kGranularity - 1) / kGranularity * kGranularity;
}

std::size_t memory_of_card() {
  const char* bytes = std::getenv("SLUICE_FAKE_CUDA_BYTES");
  return bytes != nullptr ? std::strtoull(bytes, nullptr, 10) : std::size_t{1} << 30;
}

}  // namespace

Card::Card(c10::DeviceIndex index) : index_(index), total_bytes_(memory_of_card()) {}

int Card::count() {
  const char* number = std::getenv("SLUICE_FAKE_CUDA_DEVICES");
  return number != nullptr ? std::atoi(number) : 1;
}

Card& Card::of(c10::DeviceIndex index) {
  static const auto* const cards = [] {  // threads of LibTorch outlive static objects
    auto* made = new std::vector<Card*>;
    for (int i = 0; i < count(); ++i) made->push_back(new Card(static_cast<c10::DeviceIndex>(i)));
    return made;
  }();
  TORCH_CHECK(index >= 0 && index < count(), "CUDA error: invalid device ordinal: ", int{index});
  return *(*cards)[static_cast<std::size_t>(index)];
}

c10::DeviceIndex& Card::current_index() {
  static thread_local c10::DeviceIndex index = 0;
  return index;
}

Card& Card::owner(const void* block) {
  for (int i = 0; i < count(); ++i)
    if (Card& card = of(static_cast<c10::DeviceIndex>(i)); card.contains(block)) return card;
  TORCH_INTERNAL_ASSERT(false, "memory of no card");
}

Card::Lock Card::lock_for_work() {
  Lock lock(mutex_);
  capture_ended_.wait(
      lock, [&] { return recording_ == nullptr || recording_->stream == current_stream(); });
  return lock;
}

void* Card::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  const Lock lock = lock_for_work();
  const std::size_t size = rounded(bytes);
  void* block = nullptr;
  if (const auto found = cache_.find(size); found != cache_.end()) {
    block = found->second;
    cache_.erase(found);
    cached_bytes_ -= size;
  } else {
    if (reserved_bytes() + size > total_bytes_) drop_cache();
    TORCH_CHECK_WITH(OutOfMemoryError, reserved_bytes() + size <= total_bytes_,
                     "CUDA out of memory. Tried to allocate ",
                     static_cast<double>(size) / (1 << 20), " MiB. GPU ", int{index_},
                     " is a fake");
    block = std::aligned_alloc(kGranularity, size);
    TORCH_CHECK(block != nullptr, "the host has no memory left");
  }
  std::memset(block, kNaN, size);
  blocks_.emplace(static_cast<const char*>(block), size);
  used_bytes_ += size;
  peak_bytes_ = std::max(peak_bytes_, reserved_bytes());
  return block;
}

void Card::release(void* block) {
  if (block == nullptr) return;
  const Lock lock = lock_for_work();
  if (recording_ != nullptr) {
    recording_->freed.push_back(block);
    return;
  }
  const auto found = blocks_.find(static_cast<const char*>(block));
  TORCH_INTERNAL_ASSERT(found != blocks_.end());
  const std::size_t size = found->second;
  blocks_.erase(found);
  std::memset(block, kNaN, size);
  used_bytes_ -= size;
  cached_bytes_ += size;
  cache_.emplace(size, block);
}

void Card::release_cache() {
  const Lock lock = lock_for_work();
  refuse_in_capture("releasing memory");
  drop_cache();
}

void Card::drop_cache() {
  for (const auto& [size, block] : cache_) std::free(block);
  cache_.clear();
  cached_bytes_ = 0;
}

bool Card::contains(const void* address) const {
  const std::lock_guard lock(mutex_);
  auto after = blocks_.upper_bound(static_cast<const char*>(address));
  if (after == blocks_.begin()) return false;
  const auto& [begin, size] = *--after;
  return static_cast<const char*>(address) < begin + size;
}

c10::StreamId& Card::current_stream() const {
  static thread_local std::map<c10::DeviceIndex, c10::StreamId> streams;
  return streams[index_];
}

bool Card::is_captured(c10::StreamId stream) const {
  const std::lock_guard lock(mutex_);
  return recording_ != nullptr && recording_->stream == stream;
}

void Card::refuse_in_capture(const char* what) const {
  TORCH_CHECK(!is_captured(current_stream()),
              "CUDA error: operation not permitted when stream is capturing: ", what);
}

void Card::run(std::function<void()> work) {
  const Lock lock = lock_for_work();
  work();
  if (is_captured(current_stream())) recording_->work.push_back(std::move(work));
}

void Card::begin_capture(const std::shared_ptr<Recording>& recording) {
  const Lock lock = lock_for_work();
  TORCH_CHECK(recording_ == nullptr, "the stream is captured already");
  TORCH_CHECK(current_stream() != 0, "CUDA graphs must be captured on a non-default stream");
  recording->device = index_;
  recording->stream = current_stream();
  for (const auto& [begin, size] : blocks_)
    recording->contents.emplace_back(const_cast<char*>(begin),
                                     std::vector<char>(begin, begin + size));
  recording_ = recording;
}

void Card::end_capture() {
  const std::lock_guard lock(mutex_);
  TORCH_CHECK(recording_ != nullptr, "no stream is being captured");
  for (const auto& [block, bytes] : recording_->contents)
    std::memcpy(block, bytes.data(), bytes.size());
  recording_->contents.clear();
  recording_ = nullptr;
  capture_ended_.notify_all();
}

void Card::replay(const Recording& recording) {
  const c10::DeviceGuard guard({c10::DeviceType::CUDA, index_});
  const Lock lock = lock_for_work();
  refuse_in_capture("replaying a graph");
  for (const std::function<void()>& work : recording.work) work();
}

void Card::discard(Recording& recording) {
  recording.work.clear();
  for (void* block : std::exchange(recording.freed, {})) release(block);
}

}  // namespace sluice::fake_cuda
