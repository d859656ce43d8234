// The paired t-test (Student 1908) of two variants, paired by seed. It does not assume equal
// variances of the variants.
//
//   d_j = x_j − y_j      t = mean(d) / (std(d) / √n)      p = P(|T_{n−1}| ≥ |t|)
//
// If all d_j are equal there is no spread to test against, and p is 1 even if they are not 0
// (docs/statistics.md).
#pragma once

#include <span>

namespace sluice::stats {

struct PairedTest {
  double difference = 0;  // mean(d)
  double std_error = 0;   // std(d) / √n; 0 without spread
  double df = 0;          // n − 1
  double p = 1;
};

// InvariantError unless both have the same length of at least 2.
PairedTest paired_t_test(std::span<const double> x, std::span<const double> y);

}  // namespace sluice::stats
