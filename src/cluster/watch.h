// Watches over the processes of a job: who has ended, and who does not answer.
//
// Every process keeps a TCP connection to rank 0, whose watch decides and tells all. A killed
// process is noticed at once, because the kernel closes its connections, even while the others
// compute. One that hangs is found by the processes that wait for it: after a time-out they report
// to rank 0, which names the one that does not.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sluice::cluster {

struct Lost {
  int rank = 0;
  bool ended = true;  // false: does not answer
  int code = 0;       // exit code of a process that left with an error; 0: it ended without leaving
};

class Watch {
 public:
  // Called once by the watch's thread when a process is lost.
  using OnLost = std::function<void(const Lost&)>;

  // Rank 0: takes over the listening socket `descriptor`.
  static std::unique_ptr<Watch> serve(int descriptor, int size, OnLost on_lost = {});
  // Any other rank: connects to it. kPeerLost if it does not answer within `timeout_s`.
  static std::unique_ptr<Watch> join(const std::string& address, int port, int rank,
                                     double timeout_s, OnLost on_lost = {});
  // Leaves, unless an exception is the reason: then the others take it for an end.
  ~Watch();
  // Tells the others that this process ends with an error; they end with the same code. Call before
  // the destructor.
  void leave(int code);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // The process that is lost, if any. The first one only.
  std::optional<Lost> lost() const;
  // For a process whose connection to `suspect` broke: waits for the decision.
  Lost after_break(int suspect);
  // For a process that waited for `suspect` in vain: reports it and waits for the decision.
  Lost after_timeout(int suspect);

 private:
  struct State;
  explicit Watch(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sluice::cluster
