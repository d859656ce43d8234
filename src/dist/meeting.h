// How the processes of a job find each other: at a store of c10d, which rank 0 or the launcher
// serves. For files that are compiled with the headers of Gloo.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "cluster/distributed_config.h"
#include "cluster/member.h"

namespace sluice::dist {

// Separates the fields of a published text. The first one is the place of the process.
inline constexpr char kSeparator = '\x1f';

struct Meeting {
  c10::intrusive_ptr<c10d::Store> store;
  std::vector<std::string> published;  // by rank
  std::string lost;                    // what to say if the store fails
};

// Waits for all processes of the job; each receives what every other publishes. After ten seconds
// in vain it logs what it waits for. All within start_timeout: kPeerLost naming the ranks that are
// missing, or the address that does not answer; kUsage, in all that wait, if they differ in the
// number of processes, or two have the same rank; kInterrupted on a stop signal.
Meeting meet(const cluster::Member& member, const cluster::DistributedConfig& config,
             const std::string& published);

// Runs `body` in a thread and returns when it ends, with its error if it has one. Meanwhile
// `check` is called several times per second. If `check` throws, the thread is left to itself, so
// `body` must own what it uses. For calls of LibTorch that wait without end, or begin to wait again
// after a signal.
void run_checked(std::function<void()> body, const std::function<void()>& check);

}  // namespace sluice::dist
