#include "optim/shards.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "base/error.h"

namespace sluice::optim {

std::vector<ArenaRange> Shards::own(std::int64_t arena_elements) const {
  return is_divided() ? of(rank) : std::vector<ArenaRange>{{0, arena_elements}};
}

std::vector<std::int64_t> Shards::begins() const {
  if (!is_divided()) return {};
  std::vector<std::int64_t> begins{0};
  for (const std::vector<ArenaRange>& part : parts) {
    invariant(part.empty() || (part.size() == 1 && part.front().begin == begins.back()),
              "Shards::begins: one part after the other");
    begins.push_back(begins.back() + ops::num_elements(part));
  }
  return begins;
}

namespace {

// The end of the range counts as a cut.
std::int64_t nearest_cut(const ArenaRange& range, std::span<const std::int64_t> cuts,
                         std::int64_t place) {
  std::int64_t nearest = range.end;
  for (const std::int64_t cut : cuts)
    if (range.contains(cut) && std::abs(cut - place) < std::abs(nearest - place)) nearest = cut;
  return nearest;
}

}  // namespace

std::vector<std::vector<ArenaRange>> divide_regions(const std::vector<ArenaRange>& regions,
                                                    std::span<const std::int64_t> cuts,
                                                    std::span<const std::int64_t> parameters,
                                                    int num_ranks) {
  const std::int64_t first = regions.front().begin, last = regions.back().end;
  std::vector<std::int64_t> borders;
  std::set_intersection(cuts.begin(), cuts.end(), parameters.begin(), parameters.end(),
                        std::back_inserter(borders));
  const auto at_border = [&](std::int64_t element) {
    if (element == first) return first;
    const auto next = std::lower_bound(borders.begin(), borders.end(), element);
    return next == borders.end() ? last : std::min(*next, last);
  };
  std::vector<std::vector<ArenaRange>> parts(static_cast<std::size_t>(num_ranks));
  std::vector<std::int64_t> given(parts.size());  // to the ranks before, in earlier regions
  for (const ArenaRange& region : regions) {
    const ArenaRange range{at_border(region.begin), at_border(region.end)};
    std::int64_t begin = range.begin;
    for (int rank = 0; rank < num_ranks; ++rank) {
      const auto r = static_cast<std::size_t>(rank);
      std::int64_t end = range.end;
      if (rank + 1 < num_ranks) {
        const std::int64_t share = (range.end - first) * (rank + 1) / num_ranks;
        end = std::max(begin, nearest_cut(range, cuts, range.begin + share - given[r + 1]));
        given[r + 1] += end - range.begin;
      }
      parts[r].push_back({begin, end});
      begin = end;
    }
  }
  for (std::vector<ArenaRange>& part : parts) part = ops::joined(std::move(part));
  return parts;
}

std::vector<std::int64_t> parameter_cuts(const ops::Parameters& parameters) {
  std::vector<std::int64_t> cuts;
  for (const ops::Parameters::Declared& parameter : parameters.declared())
    cuts.push_back(parameter.offset);
  return cuts;
}

}  // namespace sluice::optim
