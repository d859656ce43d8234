#include "tests/train/operation_recorder.h"

#include <memory>
#include <mutex>

namespace sluice::train::test {
namespace {

std::mutex& seen_mutex() {
  static std::mutex mutex;
  return mutex;
}
std::multiset<std::string>& seen_operations() {
  static std::multiset<std::string> seen;
  return seen;
}

std::unique_ptr<at::ObserverContext> record_operation(const at::RecordFunction& function) {
  const std::lock_guard lock(seen_mutex());
  seen_operations().insert(function.name());
  return nullptr;
}

}  // namespace

OperationRecorder::OperationRecorder()
    : handle_(at::addGlobalCallback(
          at::RecordFunctionCallback(&record_operation).scopes({at::RecordScope::FUNCTION}))) {
  seen_operations().clear();
}

OperationRecorder::~OperationRecorder() { at::removeCallback(handle_); }

std::multiset<std::string> OperationRecorder::seen() const {
  const std::lock_guard lock(seen_mutex());
  return seen_operations();
}

}  // namespace sluice::train::test
