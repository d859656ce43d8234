#include "text/piece_trie.h"

#include <algorithm>

namespace sluice::text {

PieceTrie::PieceTrie(std::vector<std::pair<std::string_view, std::int32_t>> pieces) {
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  // Breadth first, so that the children of a node are adjacent: a node is a range of sorted texts
  // with a common prefix.
  struct Range {
    std::size_t begin = 0, end = 0, depth = 0;
  };
  std::vector<Range> ranges{{0, pieces.size(), 0}};
  for (std::size_t node = 0; node < ranges.size(); ++node) {
    auto [at, end, depth] = ranges[node];
    for (; at < end && pieces[at].first.size() == depth; ++at)
      if (depth > 0) nodes_[node].value = pieces[at].second;
    nodes_[node].begin = static_cast<std::uint32_t>(edges_.size());
    while (at < end) {
      const char label = pieces[at].first[depth];
      const std::size_t begin = at;
      while (at < end && pieces[at].first[depth] == label) ++at;
      edges_.push_back(
          {static_cast<unsigned char>(label), static_cast<std::uint32_t>(ranges.size())});
      ranges.push_back({begin, at, depth + 1});
      nodes_.emplace_back();
    }
    nodes_[node].end = static_cast<std::uint32_t>(edges_.size());
  }
  for (std::uint32_t i = nodes_[0].begin; i < nodes_[0].end; ++i)
    root_[edges_[i].label] = edges_[i].node;
}

std::uint32_t PieceTrie::child(std::uint32_t node, unsigned char label) const {
  if (node == 0) return root_[label];
  const auto begin = edges_.begin() + nodes_[node].begin, end = edges_.begin() + nodes_[node].end;
  const auto found =
      std::lower_bound(begin, end, label,
                       [](const Edge& edge, unsigned char wanted) { return edge.label < wanted; });
  return found != end && found->label == label ? found->node : 0;
}

}  // namespace sluice::text
