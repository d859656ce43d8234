// Support for comparing modules with formulas over arrays of doubles: filling and reading
// parameters, and gradients by central differences.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ops/parameters.h"
#include "tests/ops/settings.h"

namespace sluice::nn::test {

using Array = std::vector<double>;
using Arrays = std::map<std::string, Array>;  // logical name -> elements, row by row

// Allocates, and fills every logical parameter with numbers of standard deviation `scale` that are
// exact in bf16, so that all settings use equal values.
void fill(ops::Parameters& parameters, const ops::test::Setting& setting, double scale);

Array array_of(const at::Tensor& tensor);
Arrays values_of(const ops::Parameters& parameters);
Arrays gradients_of(const ops::Parameters& parameters);

// d f / d element for every element of every array.
Arrays finite_difference_gradients(const std::function<double(const Arrays&)>& f, const Arrays& at);

// A module chains three ops in each direction: twice the tolerance of one op.
inline double tolerance(at::ScalarType dtype) { return 2 * ops::test::tolerance(dtype); }

// |got − want| ≤ allowed · (|want| + rms(want)); see ops::test::expect_close.
void expect_close(const Array& got, const Array& want, double allowed, const std::string& what);
void expect_close(const Arrays& got, const Arrays& want, double allowed);

// y [rows, out] = x [rows, in] wᵀ (+ bias unless it is empty).
Array product(const Array& x, const Array& w, const Array& bias, std::int64_t in);

}  // namespace sluice::nn::test
