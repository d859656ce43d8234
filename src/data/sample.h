// A sample of text of a bounded size, drawn evenly in one pass over a corpus of unknown length.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace sluice::data {

// Every block draws a ticket, the hash of its text; the blocks with the lowest tickets that fit stay. So each block has the same chance,
// the result does not depend on the order of files, and copies of one text count once.
class TextSample {
 public:
  explicit TextSample(std::uint64_t max_bytes) : max_bytes_(max_bytes) {}
  void add(std::string_view block);
  // In the order of the tickets. At most max_bytes: a single block that is larger is cut between characters.
  std::vector<std::string> take() &&;

 private:
  std::uint64_t max_bytes_;
  std::uint64_t num_bytes_ = 0;
  std::map<Hash128, std::string> blocks_;
};

}  // namespace sluice::data
