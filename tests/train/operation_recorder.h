// Records which LibTorch operations run.
#pragma once

#include <ATen/record_function.h>

#include <set>
#include <string>
#include <vector>

namespace sluice::train::test {

// Records the name of every operation during its lifetime, on any thread. Only one may exist.
class OperationRecorder {
 public:
  OperationRecorder();
  ~OperationRecorder();
  OperationRecorder(const OperationRecorder&) = delete;
  OperationRecorder& operator=(const OperationRecorder&) = delete;
  std::multiset<std::string> seen() const;

 private:
  at::CallbackHandle handle_;
};

// The recorded operations that read device values on the host.
std::vector<std::string> host_reads(const std::multiset<std::string>& seen);

}  // namespace sluice::train::test
