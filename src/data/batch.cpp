#include "data/batch.h"

#include <algorithm>

#include "base/error.h"

namespace sluice::data {

Batch Batch::rows(std::int64_t begin, std::int64_t count) const {
  invariant(begin >= 0 && count >= 0 && begin <= num_sequences && count <= num_sequences - begin,
            "row range outside the batch");
  const auto part_of = [&](const std::vector<std::int32_t>& ids, std::int64_t length) {
    return std::vector(ids.begin() + begin * length, ids.begin() + (begin + count) * length);
  };
  Batch part{.num_sequences = count, .input_length = input_length, .target_length = target_length};
  part.inputs = part_of(inputs, input_length);
  part.targets = part_of(targets, target_length);
  part.num_targets = std::count_if(part.targets.begin(), part.targets.end(),
                                   [](std::int32_t id) { return id != kIgnoredTarget; });
  return part;
}

std::vector<Batch> Batch::split(std::int64_t size) const {
  invariant(size > 0, "micro-batch size must be positive");
  std::vector<Batch> parts;
  for (std::int64_t row = 0; row < num_sequences; row += size)
    parts.push_back(rows(row, std::min(size, num_sequences - row)));
  return parts;
}

}  // namespace sluice::data
