// NVIDIA's Multi-Process Service: lets the kernels of several processes run on a GPU at the same
// time; without it they take turns. https://docs.nvidia.com/deploy/mps/
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "compare/child.h"

namespace sluice::compare {

// Uses a control daemon that serves already (in CUDA_MPS_PIPE_DIRECTORY, or /tmp/nvidia-mps) and
// leaves it alone. Otherwise starts one if nvidia-cuda-mps-control is found on PATH, in a private
// directory. That daemon is quit by the destructor, or when this process ends in any other way:
// a guard process waits for it. A warning names the reason if no daemon can be used.
class Mps {
 public:
  Mps();
  ~Mps();
  Mps(const Mps&) = delete;
  Mps& operator=(const Mps&) = delete;

  bool is_active() const { return is_active_; }
  // Of the processes that share the GPU; empty if they need no variables.
  const Environment& environment() const { return environment_; }

 private:
  void start(const std::string& program);
  void start_guard(const std::string& program);
  void stop_guard();

  bool is_active_ = false;
  Environment environment_;
  std::filesystem::path directory_;  // empty unless a daemon was started
  pid_t guard_ = -1;
  int guard_end_ = -1;  // its end of file tells the guard to quit the daemon
};

}  // namespace sluice::compare
