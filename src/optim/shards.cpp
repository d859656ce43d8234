#include "optim/shards.h"

#include <algorithm>

namespace sluice::optim {

std::vector<std::int64_t> divide_arena(std::int64_t arena_elements,
                                       std::span<const std::int64_t> cuts, int num_ranks) {
  std::vector<std::int64_t> begins{0};
  for (int rank = 1; rank < num_ranks; ++rank) {
    const std::int64_t place = arena_elements * rank / num_ranks;
    std::int64_t nearest = arena_elements;
    for (const std::int64_t cut : cuts)
      if (std::abs(cut - place) < std::abs(nearest - place)) nearest = cut;
    begins.push_back(std::max(begins.back(), nearest));
  }
  begins.push_back(arena_elements);
  return begins;
}

std::vector<std::int64_t> parameter_cuts(const ops::Parameters& parameters) {
  std::vector<std::int64_t> cuts;
  for (const ops::Parameters::Declared& parameter : parameters.declared())
    cuts.push_back(parameter.offset);
  return cuts;
}

}  // namespace sluice::optim
