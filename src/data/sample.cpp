#include "data/sample.h"

#include "text/utf8.h"

namespace sluice::data {

void TextSample::add(std::string_view block) {
  if (block.empty()) return;
  const Hash128 hash = Hasher().update("sample").update(block).digest();
  // Once full, most blocks are rejected here, before they are copied.
  if (num_bytes_ >= max_bytes_ && blocks_.rbegin()->first < hash) return;
  if (!blocks_.emplace(hash, block).second) return;
  num_bytes_ += block.size();
  // The block that crosses the limit is kept until take(), so that the result does not depend on
  // the order of calls.
  while (num_bytes_ - blocks_.rbegin()->second.size() >= max_bytes_) {
    num_bytes_ -= blocks_.rbegin()->second.size();
    blocks_.erase(std::prev(blocks_.end()));
  }
}

std::vector<std::string> TextSample::take() && {
  std::vector<std::string> sample;
  std::uint64_t remaining = max_bytes_;
  for (auto& [hash, block] : blocks_) {
    if (block.size() > remaining) block.resize(text::character_boundary(block, remaining));
    remaining -= block.size();
    if (!block.empty()) sample.push_back(std::move(block));
  }
  return sample;
}

}  // namespace sluice::data
