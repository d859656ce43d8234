// A set of texts in which all members that start at a position of a text are found in one walk.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::text {

// Immutable, thread-safe. A walk takes O(length of the longest member · log 256).
class PieceTrie {
 public:
  PieceTrie() = default;
  // (text, value) pairs with values from 0; empty texts are ignored; of equal texts, the last one
  // counts.
  explicit PieceTrie(std::vector<std::pair<std::string_view, std::int32_t>> pieces);
  bool empty() const { return nodes_.size() <= 1; }

  // Calls `each(length, value)` for every member that is a prefix of `text`, shortest first.
  template <class Each>
  void each_prefix(std::string_view text, const Each& each) const {
    std::uint32_t node = 0;
    for (std::size_t length = 1; length <= text.size(); ++length) {
      node = child(node, static_cast<unsigned char>(text[length - 1]));
      if (node == 0) return;
      if (nodes_[node].value >= 0) each(length, nodes_[node].value);
    }
  }

 private:
  struct Node {
    std::uint32_t begin = 0, end = 0;  // children in edges_, by ascending label
    std::int32_t value = -1;
  };
  struct Edge {
    unsigned char label = 0;
    std::uint32_t node = 0;
  };
  std::uint32_t child(std::uint32_t node, unsigned char label) const;

  std::vector<Node> nodes_{Node{}};
  std::vector<Edge> edges_;
  std::array<std::uint32_t, 256> root_{};  // children of the root
};

}  // namespace sluice::text
