// The processes of a distributed run, connected by Gloo (c10d of LibTorch): exchange of tensors,
// and naming the process that fails.
//
// Every process calls the same functions in the same order. The number of messages and their sizes
// follow from rank and size alone, so a message needs no header.
//
// Why c10d's point-to-point calls and not its collectives: Gloo's all-reduce and reduce-scatter add
// in an order that depends on the number of processes.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "cluster/distributed_config.h"
#include "cluster/member.h"
#include "cluster/watch.h"

namespace sluice::dist {

// What differs between two processes, with its value in rank 0 and in the other one.
struct Difference {
  std::string name, expected, found;
};

// What must be equal in all processes of a run: its name, and its value in this one.
struct Identity {
  std::string name, value;
  // For require_same(), if `value` is a hash: the text of which it is one, and what to say if two
  // differ, that of rank 0 being the first.
  std::string details{};
  std::function<Difference(const std::string&, const std::string&)> compare{};
};

class Group {
 public:
  // Connects all processes. kUsage naming rank and machine if an identity differs from that of
  // rank 0; kPeerLost if some do not come within start_timeout; see also meet() (dist/meeting.h).
  Group(const cluster::Member& member, const cluster::DistributedConfig& config,
        std::span<const Identity> identities);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int rank() const { return member_.rank; }
  int size() const { return member_.size; }
  int local_rank() const { return member_.local_rank; }
  std::string describe(int rank) const;  // "rank 1 (node2, process 4711)"
  // Processes on this machine, this one included.
  int num_on_this_machine() const;

  // A contiguous tensor in host memory, to or from another rank.
  struct Message {
    int rank = 0;
    at::Tensor tensor;
  };
  // Sends and receives at the same time; returns when all are done (dist/transfer.h does not wait).
  // Messages between two ranks arrive in the order of the lists. kPeerLost naming the process that
  // ended or does not answer.
  void exchange(std::span<const Message> sends, std::span<const Message> receives,
                std::optional<double> timeout_s = {});

  // Every rank gives `count_of(its rank)` values of `all`, which are in the order of the ranks, and
  // receives the others.
  void gather(std::span<double> all, const std::function<std::int64_t(int)>& count_of,
              std::optional<double> timeout_s = {});

  // The same for elements begins[rank] to begins[rank + 1] - 1 of a flat tensor in host memory.
  void gather(const at::Tensor& whole, std::span<const std::int64_t> begins,
              std::optional<double> timeout_s = {});
  // All receive the values of rank 0.
  void broadcast(std::span<double> values, std::optional<double> timeout_s = {});
  // What each rank gives.
  std::vector<bool> gather_flags(bool own);
  std::vector<std::string> gather_texts(const std::string& own);
  // kUsage naming rank and machine if an identity differs from that of rank 0.
  void require_same(std::span<const Identity> identities);

  // Tells the other processes that this one ends with an error, before it is destroyed: they end
  // with the same code. Not for kPeerLost, of which all know.
  void leave(ExitCode code);

  // Returns when all processes have called it. `timeout_s`: instead of distributed.timeout, for
  // work that may take longer.
  void barrier(std::optional<double> timeout_s = {});

  // For what should be equal although each process computes it: kPeerLost naming the ranks that
  // have another value than most, or than rank 0.
  void require_equal(const std::string& what, const Hash128& value);

  // From now on this process ends as soon as another one is lost, with the code that an exchange
  // would give: work on a GPU waits for all processes without end. Throws if one is lost already.
  void end_if_lost();

  // Number of bytes that this process has sent in exchanges.
  std::uint64_t bytes_sent() const { return bytes_sent_; }

 private:
  friend class Transfer;
  struct Connection;
  // `limit_s`: how long this process has waited in vain; 0: the connection broke.
  [[noreturn]] void give_up(int suspect, double limit_s);
  std::string text_of_loss(const cluster::Lost& lost, double limit_s) const;

  cluster::Member member_;
  std::unique_ptr<Connection> connection_;
  std::uint64_t bytes_sent_ = 0;
  std::atomic<bool> ends_if_lost_ = false;
};

// Whether this program was built with the headers of Gloo. If not, Group throws kUsage.
bool has_gloo();

}  // namespace sluice::dist
