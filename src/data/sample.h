// A uniform text sample of bounded size, drawn in one pass over a corpus of unknown length.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace sluice::data {

// Bottom-k sampling: keeps the blocks with the lowest hashes that fit. Each block has the same
// chance, the result does not depend on the order of the files, and duplicates count once.
class TextSample {
 public:
  explicit TextSample(std::uint64_t max_bytes) : max_bytes_(max_bytes) {}
  void add(std::string_view block);
  // In the order of the hashes, at most max_bytes: the last block is cut between characters to fit.
  std::vector<std::string> take() &&;

 private:
  std::uint64_t max_bytes_;
  std::uint64_t num_bytes_ = 0;
  std::map<Hash128, std::string> blocks_;
};

}  // namespace sluice::data
