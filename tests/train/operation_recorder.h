// Which of LibTorch's operations ran.
#pragma once

#include <ATen/record_function.h>

#include <set>
#include <string>

namespace sluice::train::test {

// Notes the name of every operation while it lives, on any thread. One at a time.
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

}  // namespace sluice::train::test
