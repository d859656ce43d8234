#include "stats/proportion.h"

#include <boost/math/special_functions/beta.hpp>

#include "base/error.h"

namespace sluice::stats {

Interval clopper_pearson(std::size_t successes, std::size_t trials, double level) {
  invariant(trials > 0 && successes <= trials && level > 0 && level < 1,
            "clopper_pearson: more successes than trials, or a level outside (0, 1)");
  const double k = static_cast<double>(successes), n = static_cast<double>(trials);
  return {.low = successes == 0 ? 0 : boost::math::ibeta_inv(k, n - k + 1, level / 2),
          .high = successes == trials ? 1 : boost::math::ibeta_inv(k + 1, n - k, 1 - level / 2)};
}

}  // namespace sluice::stats
