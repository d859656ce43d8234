#include "train/gradient_buckets.h"

#include <algorithm>

#include "base/error.h"

namespace sluice::train {

using ops::ArenaRange;

GradientBuckets::GradientBuckets(std::int64_t arena_elements) : buckets_{{{0, arena_elements}}} {}

GradientBuckets::GradientBuckets(std::int64_t arena_elements, std::span<const ArenaRange> sections,
                                 std::int64_t min_elements)
    : sections_(sections.begin(), sections.end()), is_final_(sections.size()) {
  std::vector<ArenaRange> bucket, sent;
  std::int64_t size = 0;
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    bucket.push_back(sections_[i]);
    size += sections_[i].size();
    if (size < min_elements) continue;
    sent.insert(sent.end(), bucket.begin(), bucket.end());
    buckets_.push_back(ops::joined(std::move(bucket)));
    ends_.push_back(i + 1);
    bucket.clear();
    size = 0;
  }
  buckets_.push_back(ops::rest_of(arena_elements, std::move(sent)));
}

void GradientBuckets::reset() { is_final_.assign(sections_.size(), false); }

void GradientBuckets::mark(const ArenaRange& section) {
  const auto found = std::find(sections_.begin(), sections_.end(), section);
  invariant(found != sections_.end(), "the model has this section");
  is_final_[static_cast<std::size_t>(found - sections_.begin())] = true;
}

std::size_t GradientBuckets::num_final() const {
  const auto first_open = std::find(is_final_.begin(), is_final_.end(), false);
  const auto num_sections = static_cast<std::size_t>(first_open - is_final_.begin());
  return static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), num_sections) -
                                  ends_.begin());
}

}  // namespace sluice::train
