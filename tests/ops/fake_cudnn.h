// A cuDNN for tests: checks how descriptors are used, records graphs, and runs them on the host in
// float64, one operation after the other.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ops/cudnn_library.h"

namespace sluice::ops::test {

struct FakeCudnn {
  // The functions work on the FakeCudnn that was made last.
  FakeCudnn();
  ~FakeCudnn();
  FakeCudnn(const FakeCudnn&) = delete;

  CudnnLibrary library;

  // What to do.
  int refused_plans = 0;  // of the next plans
  bool finds_engines = true;
  int handle_error = 0;

  // What was done.
  struct Execution {
    std::map<std::int64_t, const void*> bindings;  // by ID
    const void* workspace = nullptr;
    void* stream = nullptr;
  };
  std::vector<Execution> executions;
  std::vector<std::string> graphs;  // as in cudnn_graphs.txt
  int num_handles = 0;
  int num_objects = 0;  // alive
  void* stream = nullptr;
  static constexpr std::int64_t kWorkspaceBytes = 1000;
};

}  // namespace sluice::ops::test
