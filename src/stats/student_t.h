// Student's t distribution, central and noncentral, from Boost.Math. `df`: degrees of freedom, > 0.
//
// T = (Z + δ) / √(χ²_df / df) with Z standard normal and independent of χ²; δ is the noncentrality
// (0: the central distribution).
#pragma once

namespace sluice::stats {

// P(|T| ≥ |t|) under the central distribution: the p of a two-sided test. 1 for t = 0; 0 for
// infinite t.
double two_sided_p(double t, double df);

// The t with P(T ≤ t) = `probability` in (0, 1) under the central distribution.
double t_quantile(double probability, double df);

// P(T ≤ x) under noncentrality `delta`.
double noncentral_t_cdf(double x, double df, double delta);

}  // namespace sluice::stats
