#include "data/objective_config.h"

#include "base/text_format.h"
#include "data/span_corruption.h"

namespace sluice::data {

void SpanCorruptionConfig::check(const SpanCorruptionConfig& c, config::Problems& problems) {
  const SpanShape shape = span_shape_for(c);
  if (shape.num_spans > c.sentinels) {
    problems.add(
        "sentinels", cat(c.sentinels),
        cat("at least ", shape.num_spans, ", one per span of input_length ", c.input_length));
  }
  if (shape.num_spans > shape.num_kept()) {
    problems.add("mean_span_length", shortest(c.mean_span_length),
                 cat("longer spans or less noise: ", shape.num_spans, " spans with only ",
                     shape.num_kept(), " kept tokens between them"));
  }
}

}  // namespace sluice::data
