#include "ops/card.h"

namespace sluice::ops {

std::optional<gpu::Card> card_of(c10::Device device, const gpu::Driver* driver) {
  if (!device.is_cuda() || driver == nullptr) return std::nullopt;
  return gpu::card_of(*driver, device.has_index() ? device.index() : 0);
}

std::optional<gpu::Card> card_of(c10::Device device) {
  static const std::unique_ptr<gpu::Driver> driver = gpu::Driver::load();
  return card_of(device, driver.get());
}

}  // namespace sluice::ops
