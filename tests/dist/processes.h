// Runs a function in several processes at the same time, as the members of a job on this machine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cluster/member.h"

namespace sluice::dist::testing {

struct Ended {
  int exit_code = 0;   // of UserError its code, 0 without an error, 128 + signal if killed
  std::string text{};  // what the function returned, or the error
  double seconds = 0;  // from the start of all
};

// `body` returns a text. A process that has not ended after `limit_s` is killed.
std::vector<Ended> run_processes(int num,
                                 const std::function<std::string(const cluster::Member&)>& body,
                                 double limit_s = 60);

// A port that is free now.
int free_port();

}  // namespace sluice::dist::testing
