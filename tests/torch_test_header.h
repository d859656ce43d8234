// Precompiled header of the tests that use LibTorch.
#pragma once

#include "ops/torch_header.h"
#include "tests/test_header.h"
