#include "optim/optimizer.h"

#include <variant>

#include "optim/adafactor.h"
#include "optim/adamw.h"

namespace sluice::optim {
namespace {

StateSize size_of(const AdamWConfig&, const ops::Parameters& parameters) {
  constexpr std::uint64_t kMoments = 2 * sizeof(float);  // exp_avg, exp_avg_sq
  return {.memory_bytes = kMoments * static_cast<std::uint64_t>(parameters.arena_elements()),
          .checkpoint_bytes = kMoments * static_cast<std::uint64_t>(parameters.num_parameters())};
}

StateSize size_of(const AdafactorConfig& config, const ops::Parameters& parameters) { return adafactor_state_size(config, parameters); }

std::unique_ptr<Optimizer> make(const AdamWConfig& config, ops::Parameters& parameters) {
  return std::make_unique<AdamW>(config, parameters);
}

std::unique_ptr<Optimizer> make(const AdafactorConfig& config, ops::Parameters& parameters) {
  return std::make_unique<Adafactor>(config, parameters);
}

}  // namespace

StateSize state_size(const OptimizerConfig& config, const ops::Parameters& parameters) {
  return std::visit([&](const auto& c) { return size_of(c, parameters); }, config);
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, ops::Parameters& parameters) {
  return std::visit([&](const auto& c) { return make(c, parameters); }, config);
}

}  // namespace sluice::optim
