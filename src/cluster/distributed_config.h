// Section `distributed`: training by several processes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "config/field.h"

namespace sluice::cluster {

// How the gradients of the micro-batches of a step are added.
enum class Reduction { kExact, kFast };
constexpr auto names_of(Reduction) {
  return std::array{std::pair{Reduction::kExact, std::string_view("exact")},
                    std::pair{Reduction::kFast, std::string_view("fast")}};
}

// What the processes divide among themselves.
enum class Shard { kOptimizer, kParameters };
constexpr auto names_of(Shard) {
  return std::array{std::pair{Shard::kOptimizer, std::string_view("optimizer")},
                    std::pair{Shard::kParameters, std::string_view("parameters")}};
}

struct DistributedConfig {
  config::Auto<Reduction> reduction;
  Shard shard = Shard::kOptimizer;
  config::Auto<std::string> interface;
  config::Auto<std::int64_t> port;
  config::Seconds timeout{60};
  config::Seconds start_timeout{300};
  config::Bytes bucket{1 << 20};
  std::int64_t check_every_steps = 100;

  static constexpr auto fields() {
    using config::field;
    using C = DistributedConfig;
    return std::tuple{
        field<&C::reduction>(
            "How gradients are added. `exact`: in an order that the number of processes does not "
            "change, so neither do the bits of the run. `fast`: each process adds its "
            "micro-batches "
            "one after the other, and all their sums; less memory and traffic. `auto`: `exact` on "
            "a "
            "CPU, `fast` on a GPU, where `exact` is not available.",
            config::Affects::kExecution),
        field<&C::shard>(
            "What each process has a part of. `optimizer`: the optimizer state. `parameters`: also "
            "weights and gradients of attention and feed-forward layers; a process receives those "
            "of a block while it computes it. Less memory, more traffic, the same bits.",
            config::Affects::kCadence),
        field<&C::interface>(
            "Network interface (`eth0`) that the processes use for each other; they accept "
            "connections at no other. `auto`: the one with the route to the machine of rank 0, the "
            "loopback interface if that is this machine.",
            config::NonEmpty{}, config::Affects::kCadence),
        field<&C::port>("TCP port on the machine of rank 0 at which the processes meet. `auto`: "
                        "the launcher's.",
                        config::Between{1, 65535}, config::Affects::kCadence),
        field<&C::timeout>("How long a process waits for another before it gives up with exit code "
                           "76. A step, an evaluation or a save must not take longer.",
                           config::Positive{}, config::Affects::kCadence),
        field<&C::start_timeout>("The same for the start, when the data may be prepared.",
                                 config::Positive{}, config::Affects::kCadence),
        field<&C::bucket>("Gradients are sent during the backward pass as soon as it has completed "
                          "this many bytes of them. `0`: after each block. With `reduction: fast`, "
                          "another value changes rounding.",
                          config::NonNegative{}, config::Affects::kExecution),
        field<&C::check_every_steps>(
            "Steps between comparisons of the weights of all processes; a difference ends the run "
            "before anything is saved.",
            config::Positive{}, config::Affects::kCadence)};
  }
};

}  // namespace sluice::cluster
