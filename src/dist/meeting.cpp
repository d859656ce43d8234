#ifdef SLUICE_HAS_GLOO
#include "dist/meeting.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/log_destination.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "cluster/address.h"

namespace sluice::dist {
namespace {

using std::chrono::milliseconds;

constexpr double kSilence_s = 10;  // before a process says what it waits for
// Between two looks at the store: many processes share it.
constexpr milliseconds kFirstPause(5), kLongestPause(200);

std::string first_field(const std::string& published) {
  return published.substr(0, published.find(kSeparator));
}

std::string member_key(int rank) { return cat("member/", rank); }

// The keys of the store: the number of processes, as rank 0 knows it; how many have come, and have
// read what the others publish; the ranks that are missing; why the job cannot start.
constexpr const char *kSize = "size", *kCome = "num_come", *kRead = "num_read",
                     *kMissing = "missing", *kRefused = "refused";

class Pause {
 public:
  void wait() {
    std::this_thread::sleep_for(next_);
    next_ = std::min(kLongestPause, next_ * 5 / 4 + milliseconds(1));
  }

 private:
  milliseconds next_ = kFirstPause;
};

// The part of meet() that waits. It may outlive meet(), so it owns everything.
class Arrival {
 public:
  Arrival(cluster::Member member, const cluster::DistributedConfig& config, std::string published)
      : member_(std::move(member)), published_(std::move(published)) {
    options_.port = static_cast<std::uint16_t>(config.port.value_or(member_.port));
    options_.timeout = milliseconds(static_cast<std::int64_t>(config.start_timeout.count * 1000));
    options_.waitWorkers = false;
    options_.isServer = member_.rank == 0 && !member_.is_served;
    require(options_.port != 0, ExitCode::kUsage, "MASTER_PORT",
            cat("missing; expected a port for the processes of ", member_.launcher,
                ", or distributed.port"));
    host_ = options_.isServer ? cluster::address_towards(member_.address) : member_.address;
    if (!options_.isServer) return;
    if (!cluster::is_own_address(member_.address))
      log::warn(cat("MASTER_ADDR: ", printable(member_.address), " is no address of ",
                    cluster::host_name(), ", where rank 0 runs; it listens at ", place()));
    // Where the others look for it, and not, as LibTorch's server would, at every interface.
    options_.masterListenFd = cluster::listen_at(host_, options_.port);
  }

  // In a thread.
  void run() {
    connect();
    try {
      come();
      read();
    } catch (const UserError&) {
      throw;
    } catch (const std::exception&) {
      fail(ExitCode::kPeerLost, subject(), lost());
    }
  }

  // In the thread that waits for it.
  Meeting result() const { return {store_, all_, lost()}; }
  void abandon() { abandoned_ = true; }
  std::string subject() const { return cat("rank ", member_.rank); }
  // What it waits for, as the beginning and the end of a sentence around "within 5 s".
  std::pair<std::string, std::string> state() const {
    const std::lock_guard lock(mutex_);
    if (!connected_)
      return {cat("no answer at ", place(), ", where the processes meet,"),
              "; expected rank 0 there (MASTER_ADDR, MASTER_PORT)"};
    return {cat("these ranks have not come to ", place()), cat(": ", missing_)};
  }

 private:
  std::string place() const { return cat(host_, ":", options_.port); }
  std::string lost() const {
    return cat("lost the connection to ", place(), ", where the processes meet; ",
               member_.is_served ? "the launcher" : "rank 0", " has ended, or the network fails");
  }

  void connect() {
    // Without this, LibTorch warns of each attempt before rank 0 listens.
    if (!options_.isServer)
      ::close(cluster::connect_to(host_, options_.port,
                                  /*timeout_s=*/1e6));  // the other thread gives up
    try {
      // A launcher that starts the job again keeps the store and its values.
      store_ = c10::make_intrusive<c10d::PrefixStore>(
          cat("sluice/", member_.attempt), c10::make_intrusive<c10d::TCPStore>(host_, options_));
    } catch (const std::exception& error) {
      fail(ExitCode::kPeerLost, subject(),
           cat(place(), " is not where the processes meet (", reason_of(error),
               "); expected rank 0 there (MASTER_ADDR, MASTER_PORT)"));
    }
    const std::lock_guard lock(mutex_);
    connected_ = true;
  }

  [[noreturn]] void refuse(const std::string& what, const std::string& received,
                           const std::string& expected) {
    try {
      fail(ExitCode::kUsage, cat(subject(), ": ", what), received, expected);
    } catch (const UserError& error) {
      store_->set(kRefused, std::string(error.what()));
      throw;
    }
  }

  void come() {
    const std::string holder =
        store_->compareSet(member_key(member_.rank), std::string(), published_);
    if (holder != published_)
      refuse("RANK",
             cat(member_.rank, " in two processes: ", first_field(holder), ", and ",
                 first_field(published_)),
             "a rank of its own for each");
    if (member_.rank == 0) store_->set(kSize, cat(member_.size));
    until([&] { return store_->check({kSize}); });
    const std::string size = store_->get_to_str(kSize);
    if (size != cat(member_.size))
      refuse("number of processes (WORLD_SIZE)", cat(member_.size), cat(size, ", as in rank 0"));
    store_->add(kCome, 1);
    until([&] { return store_->add(kCome, 0) == member_.size; });
  }

  void read() {
    for (int rank = 0; rank < member_.size; ++rank)
      all_.push_back(store_->get_to_str(member_key(rank)));
    store_->add(kRead, 1);
    // Rank 0 serves the store: it stays until all have read.
    if (member_.rank == 0) until([&] { return store_->add(kRead, 0) >= member_.size; });
  }

  // Rank 0 looks for all: with many processes, the store would not bear that each does.
  void learn_who_is_missing() {
    std::string missing;
    if (member_.rank == 0) {
      for (int rank = 0; rank < member_.size; ++rank)
        if (!store_->check({member_key(rank)})) missing += cat(missing.empty() ? "" : ", ", rank);
      store_->set(kMissing, missing);
    } else {
      missing = store_->check({kMissing}) ? store_->get_to_str(kMissing) : "0";
    }
    const std::lock_guard lock(mutex_);
    missing_ = missing;
  }

  template <class Done>
  void until(const Done& done) {
    constexpr double kLook_s = 0.5;
    Pause pause;
    for (double look_s = 0; !done(); pause.wait()) {
      if (abandoned_) fail(ExitCode::kPeerLost, subject(), "gave up");
      if (store_->check({kRefused})) {
        if (options_.isServer) std::this_thread::sleep_for(3 * kLongestPause);  // all read it
        throw UserError(ExitCode::kUsage, store_->get_to_str(kRefused));
      }
      if (monotonic_s() < look_s) continue;
      learn_who_is_missing();
      look_s = monotonic_s() + kLook_s;
    }
  }

  const cluster::Member member_;
  const std::string published_;
  c10d::TCPStoreOptions options_;
  std::string host_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::vector<std::string> all_;
  std::atomic<bool> abandoned_ = false;
  mutable std::mutex mutex_;
  bool connected_ = false;
  std::string missing_;
};

// Its threads leave stop signals to the thread that waits: LibTorch takes an interrupted system
// call for a failure.
class BlockedStops {
 public:
  BlockedStops() {
    sigset_t stops;
    sigemptyset(&stops);
    for (const StopSignal& stop : kStopSignals) sigaddset(&stops, stop.number);
    ::pthread_sigmask(SIG_BLOCK, &stops, &before_);
  }
  ~BlockedStops() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedStops(const BlockedStops&) = delete;
  BlockedStops& operator=(const BlockedStops&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

void run_checked(std::function<void()> body, const std::function<void()>& check) {
  auto ended = std::make_shared<std::promise<void>>();
  std::future<void> end = ended->get_future();
  {
    const BlockedStops blocked;
    std::thread([ended, body = std::move(body), destination = log::current()] {
      const log::Redirect redirect(destination);
      try {
        body();
        ended->set_value();
      } catch (...) {
        ended->set_exception(std::current_exception());
      }
    }).detach();
  }
  while (end.wait_for(milliseconds(20)) != std::future_status::ready) check();
  end.get();
}

Meeting meet(const cluster::Member& member, const cluster::DistributedConfig& config,
             const std::string& published) {
  const auto arrival = std::make_shared<Arrival>(member, config, published);
  const double begin_s = monotonic_s(), limit_s = config.start_timeout.count;
  bool is_silent = true;
  try {
    run_checked([arrival] { arrival->run(); },
                [&] {
                  throw_if_stopped(arrival->subject());
                  const double waited_s = monotonic_s() - begin_s;
                  const auto [what, which] = arrival->state();
                  if (waited_s > limit_s)
                    fail(ExitCode::kPeerLost, arrival->subject(),
                         cat(what, " within ", human_duration(limit_s),
                             " (distributed.start_timeout)", which));
                  if (waited_s < kSilence_s || !is_silent) return;
                  is_silent = false;
                  if (member.local_rank == 0)
                    log::info(cat(arrival->subject(), ": ", what, " yet; waiting for up to ",
                                  human_duration(limit_s), " (distributed.start_timeout)", which));
                });
  } catch (const UserError&) {
    arrival->abandon();
    throw;
  }
  return arrival->result();
}

std::string reason_of(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find("\nException raised from"));
}

}  // namespace sluice::dist

#endif
