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

struct DistributedConfig {
  config::Auto<std::string> interface;
  config::Auto<std::int64_t> port;
  config::Seconds timeout{60};
  config::Seconds start_timeout{300};
  std::int64_t check_every_steps = 100;

  static constexpr auto fields() {
    using config::field;
    using C = DistributedConfig;
    return std::tuple{
        field<&C::interface>(
            "Network interface (`eth0`) whose address the processes use for each other; they "
            "accept connections at no other. `auto`: the loopback interface if all are on one "
            "machine, otherwise the one of the machine's host name.",
            config::NonEmpty{}, config::Affects::kCadence),
        field<&C::port>("TCP port on the machine of rank 0 at which the processes meet. `auto`: "
                        "the launcher's.",
                        config::Between{1, 65535}, config::Affects::kCadence),
        field<&C::timeout>("How long a process waits for another before it gives up with exit code "
                           "76. A step, an evaluation or a save must not take longer.",
                           config::Positive{}, config::Affects::kCadence),
        field<&C::start_timeout>("The same for the start, when the data may be prepared.",
                                 config::Positive{}, config::Affects::kCadence),
        field<&C::check_every_steps>(
            "Steps between comparisons of the weights of all processes; a difference ends the run "
            "before anything is saved.",
            config::Positive{}, config::Affects::kCadence)};
  }
};

}  // namespace sluice::cluster
