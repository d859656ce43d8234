// Precompiled header of all files that use LibTorch. Never include it explicitly; each file
// includes what it uses. Without torch/csrc/autograd: its inline functions would be instantiated
// again in every file, at 2 s each.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>
