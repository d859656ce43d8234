// What a Group has of c10d; for files that are compiled with the headers of Gloo.
#pragma once

#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <vector>

#include "cluster/watch.h"
#include "dist/group.h"

namespace sluice::dist {

struct Group::Connection {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> backend;
  std::vector<std::string> places;  // by rank
  double timeout_s = 0;
  std::unique_ptr<cluster::Watch> watch;
};

}  // namespace sluice::dist
