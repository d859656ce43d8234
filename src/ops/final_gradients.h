// Which gradients are final while a backward pass still runs.
#pragma once

#include "ops/context.h"
#include "ops/norm.h"
#include "ops/parameters.h"

namespace sluice::ops {

// Tells context.on_final_gradients of `range` when the backward pass has computed the gradient of
// `input`. `range`: parameters that are used only with what is computed from `input`, so nothing
// remains that could change their gradients then.
void tell_final_gradients(const Residual& input, const ArenaRange& range, const Context& context);

}  // namespace sluice::ops
