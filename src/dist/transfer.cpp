#include "dist/transfer.h"

#include <ATen/ATen.h>

#include "base/error.h"

#ifdef SLUICE_HAS_GLOO
#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/clock.h"
#include "dist/connection.h"

namespace sluice::dist {
namespace {

using std::chrono::milliseconds;

constexpr int kTag = 0;

}  // namespace

struct Transfer::Pending {
  struct Work {
    int rank;  // whose end would break it
    c10::intrusive_ptr<c10d::Work> work;
    std::optional<double> begun_s;  // of what has a time limit of its own from then on
  };
  std::vector<Work> all;
  std::optional<int> failed;  // rank of the call that failed; no call does anything then

  template <class Begin>
  void add(int rank, const at::Tensor& tensor, const Begin& begin,
           std::optional<double> begun_s = {}) {
    if (failed) return;
    std::vector<at::Tensor> tensors = {tensor};
    try {
      all.push_back({rank, begin(tensors), begun_s});
    } catch (const std::exception&) {
      failed = rank;
    }
  }
};

Transfer::Transfer(Group& group) : group_(group), pending_(std::make_unique<Pending>()) {}

Transfer::~Transfer() {
  // Never destroyed: the destructors of works would wait for a process that is lost.
  if (pending_->all.empty()) return;
  [[maybe_unused]] const Pending* const kept = pending_.release();
}

void Transfer::send(const Group::Message& message) {
  const at::Tensor& tensor = message.tensor;
  invariant(tensor.is_contiguous() && tensor.is_cpu() && message.rank != group_.rank(),
            "Transfer: contiguous tensors in host memory, for other ranks");
  pending_->add(message.rank, tensor, [&](std::vector<at::Tensor>& tensors) {
    return group_.connection_->backend->send(tensors, message.rank, kTag);
  });
  group_.bytes_sent_ += tensor.nbytes();
}

void Transfer::receive(const Group::Message& message) {
  invariant(
      message.tensor.is_contiguous() && message.tensor.is_cpu() && message.rank != group_.rank(),
      "Transfer: contiguous tensors in host memory, from other ranks");
  pending_->add(message.rank, message.tensor, [&](std::vector<at::Tensor>& tensors) {
    return group_.connection_->backend->recv(tensors, message.rank, kTag);
  });
}

void Transfer::add_all(const at::Tensor& tensor) {
  if (group_.size() == 1) return;
  // Any other process; the watch knows which.
  pending_->add(
      group_.rank() == 0 ? 1 : 0, tensor,
      [&](std::vector<at::Tensor>& tensors) {
        return group_.connection_->backend->allreduce(tensors);
      },
      monotonic_s());
  // Of a ring: two passes, each over all parts but one.
  group_.bytes_sent_ += 2 * tensor.nbytes() * static_cast<std::uint64_t>(group_.size() - 1) /
                        static_cast<std::uint64_t>(group_.size());
}

void Transfer::finish(std::optional<double> timeout_s) {
  const double begin_s = monotonic_s(), limit_s = timeout_s.value_or(group_.connection_->timeout_s);
  std::optional<int> failed = pending_->failed;
  double waited_since_s = begin_s;
  for (const Pending::Work& one : pending_->all) {
    if (failed) break;
    const double left_s = std::max(0.001, begin_s + limit_s - monotonic_s());
    try {
      one.work->wait(milliseconds(static_cast<std::int64_t>(std::ceil(left_s * 1000))));
    } catch (const std::exception&) {
      failed = one.rank;
      waited_since_s = one.begun_s.value_or(begin_s);
    }
  }
  if (failed) {
    (void)group_.connection_->backend.release();  // as in ~Transfer()
    group_.give_up(*failed, monotonic_s() - waited_since_s > 0.9 * limit_s ? limit_s : 0);
  }
  pending_->all.clear();
}

}  // namespace sluice::dist

#else

namespace sluice::dist {

struct Transfer::Pending {};

Transfer::Transfer(Group& group) : group_(group) {}
Transfer::~Transfer() = default;
void Transfer::send(const Group::Message&) {}
void Transfer::receive(const Group::Message&) {}
void Transfer::add_all(const at::Tensor&) {}
void Transfer::finish(std::optional<double>) {}

}  // namespace sluice::dist

#endif
