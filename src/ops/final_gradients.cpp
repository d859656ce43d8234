#include "ops/final_gradients.h"

namespace sluice::ops {

void tell_final_gradients(const Residual& input, const ArenaRange& range, const Context& context) {
  if (context.on_final_gradients == nullptr) return;
  const at::Tensor& x = input.update.defined() ? input.update : input.x;
  x.register_hook(
      [range, tell = context.on_final_gradients](const at::Tensor&) { (*tell)(range); });
}

}  // namespace sluice::ops
