// Modules under test beside formulas written out over plain arrays of doubles: filling a module's parameters, reading them, and
// gradients of a formula by central differences.
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

// Allocates, and fills every logical parameter with numbers of deviation `scale` that bf16 represents, so that all settings compute with
// the same ones.
void fill(ops::Parameters& parameters, const ops::test::Setting& setting, double scale);

Array array_of(const at::Tensor& tensor);
Arrays values_of(const ops::Parameters& parameters);
Arrays gradients_of(const ops::Parameters& parameters);

// d f / d element for every element of every array.
Arrays gradient_by_differences(const std::function<double(const Arrays&)>& f, const Arrays& at);

// A module chains three ops, each way: twice what one op is allowed.
inline double tolerance(at::ScalarType dtype) { return 2 * ops::test::tolerance(dtype); }

// |got − want| ≤ allowed · (|want| + rms(want)), as ops::test::expect_close.
void expect_close(const Array& got, const Array& want, double allowed, const std::string& what);
void expect_close(const Arrays& got, const Arrays& want, double allowed);

// y [rows, out] = x [rows, in] wᵀ (+ bias, where it has elements).
Array product(const Array& x, const Array& w, const Array& bias, std::int64_t in);

}  // namespace sluice::nn::test
