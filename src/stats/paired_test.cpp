#include "stats/paired_test.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "base/error.h"
#include "stats/moments.h"
#include "stats/student_t.h"

namespace sluice::stats {

PairedTest paired_t_test(std::span<const double> x, std::span<const double> y) {
  invariant(x.size() == y.size() && x.size() >= 2,
            "paired_t_test: expected two rows of equal length, at least 2");
  std::vector<double> differences(x.size());
  for (std::size_t j = 0; j < x.size(); ++j) differences[j] = x[j] - y[j];
  const double n = static_cast<double>(x.size()), std = *sample_std(differences);
  PairedTest test{.difference = mean_of(differences), .df = n - 1};
  if (std <= std::max(rounding_of(x), rounding_of(y))) return test;
  test.std_error = std / std::sqrt(n);
  test.p = two_sided_p(test.difference / test.std_error, test.df);
  return test;
}

}  // namespace sluice::stats
