// The same for the tests of the folders that see LibTorch.
#pragma once

#include "ops/torch_header.h"
#include "tests/test_header.h"
