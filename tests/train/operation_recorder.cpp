#include "tests/train/operation_recorder.h"

#include <algorithm>
#include <iterator>
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

std::vector<std::string> host_reads(const std::multiset<std::string>& seen) {
  static const std::set<std::string> kReadsByTheHost = {
      "aten::item",     "aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero",
      "aten::equal",    "aten::masked_select",       "aten::unique_dim", "aten::_unique2",
      "aten::is_pinned"};
  std::vector<std::string> found;
  std::set_intersection(seen.begin(), seen.end(), kReadsByTheHost.begin(), kReadsByTheHost.end(),
                        std::back_inserter(found));
  return found;
}

}  // namespace sluice::train::test
