#include "data/sample.h"

#include "text/utf8.h"

namespace sluice::data {

void TextSample::add(std::string_view block) {
  if (block.empty()) return;
  const Hash128 ticket = Hasher().update("sample").update(block).digest();
  // Once full, most blocks lose at once, before they are copied.
  if (num_bytes_ >= max_bytes_ && blocks_.rbegin()->first < ticket) return;
  if (!blocks_.emplace(ticket, block).second) return;
  num_bytes_ += block.size();
  // The block that crosses the limit stays until take(): which ones stay must not depend on the order they came in.
  while (num_bytes_ - blocks_.rbegin()->second.size() >= max_bytes_) {
    num_bytes_ -= blocks_.rbegin()->second.size();
    blocks_.erase(std::prev(blocks_.end()));
  }
}

std::vector<std::string> TextSample::take() && {
  std::vector<std::string> sample;
  std::uint64_t room = max_bytes_;
  for (auto& [ticket, block] : blocks_) {
    if (block.size() > room) block.resize(text::character_boundary(block, room));
    room -= block.size();
    if (!block.empty()) sample.push_back(std::move(block));
  }
  return sample;
}

}  // namespace sluice::data
