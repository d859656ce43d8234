// Messages between the processes of a run that travel while the process computes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "dist/group.h"

namespace sluice::dist {

// Nothing below waits except finish(), which reports failures of all. Tensors must stay as they are
// until then, and belong to the transfer if it is destroyed without finish(): Gloo may still use
// their memory.
class Transfer {
 public:
  explicit Transfer(Group& group);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Messages between two ranks arrive in the order of these calls.
  void send(const Group::Message& message);
  void receive(const Group::Message& message);
  // Replaces the tensor (fp32, contiguous, in host memory) by the sum over all processes: the same
  // bits in all of them, but in an order that depends on their number (Gloo's ring all-reduce). All
  // ranks make these calls in the same order.
  void add_all(const at::Tensor& tensor);

  // Returns when all are done. kPeerLost naming the process that ended or does not answer.
  // `timeout_s`: from this call on, instead of distributed.timeout.
  void finish(std::optional<double> timeout_s = {});

 private:
  struct Pending;
  Group& group_;
  std::unique_ptr<Pending> pending_;
};

}  // namespace sluice::dist
