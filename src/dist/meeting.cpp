#ifdef SLUICE_HAS_GLOO
#include "dist/meeting.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <optional>
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
std::string reader_key(int rank) { return cat("reader/", rank); }

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

// The address at which the processes meet, and the socket of the one that listens there.
struct Place {
  std::string host;
  int port = 0;
  std::optional<int> listening{};

  std::string text() const {
    const bool is_v6 = host.find(':') != std::string::npos;
    return cat(is_v6 ? "[" : "", host, is_v6 ? "]:" : ":", port);
  }
};

Place place_of(const cluster::Member& member, const cluster::DistributedConfig& config) {
  Place place{member.address, static_cast<int>(config.port.value_or(member.port))};
  require(place.port != 0, ExitCode::kUsage, "MASTER_PORT",
          cat("missing; expected a port for the processes of ", member.launcher,
              ", or distributed.port"));
  if (member.rank != 0 || member.is_served) return place;
  // Where the others look for it, and not, as LibTorch's server would, at every interface.
  place.host = cluster::own_address(member.address);
  if (place.host.empty()) {
    place.host = cluster::address_towards(member.address);
    log::warn(cat("MASTER_ADDR: ", printable(member.address), " is no address of ",
                  cluster::host_name(), ", where rank 0 runs; rank 0 listens at ", place.text()));
  }
  place.listening = cluster::listen_at(place.host, place.port);
  return place;
}

enum class Stage { kConnect, kCome, kRead };

// What a process waits for. Written by one thread, read by another.
class Status {
 public:
  void set(Stage stage, std::string missing) {
    const std::lock_guard lock(mutex_);
    stage_ = stage;
    missing_ = std::move(missing);
  }
  // The beginning of a sentence.
  std::string text(const Place& place) const {
    const std::lock_guard lock(mutex_);
    switch (stage_) {
      case Stage::kConnect:
        return cat("no answer from ", place.text(), ", where rank 0 is expected");
      case Stage::kCome:
        return cat("ranks that have not come to ", place.text(), ": ", missing_);
      default:
        return cat("ranks that have come to ", place.text(), " and do not answer: ", missing_);
    }
  }

 private:
  mutable std::mutex mutex_;
  Stage stage_ = Stage::kConnect;
  std::string missing_;
};

// The part of meet() that waits. It may outlive meet(), so it owns everything.
class Arrival {
 public:
  Arrival(cluster::Member member, const cluster::DistributedConfig& config, std::string published)
      : member_(std::move(member)),
        published_(std::move(published)),
        place_(place_of(member_, config)) {
    options_.port = static_cast<std::uint16_t>(place_.port);
    options_.timeout = milliseconds(static_cast<std::int64_t>(config.start_timeout.count * 1000));
    options_.waitWorkers = false;
    options_.isServer = place_.listening.has_value();
    options_.masterListenFd = place_.listening;
  }

  // In a thread.
  void run() {
    try {
      connect();
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
  std::string status() const { return status_.text(place_); }

 private:
  std::string lost() const {
    return cat("lost the connection to ", place_.text(), ", where the processes meet; ",
               member_.is_served ? "the launcher" : "rank 0", " has ended, or the network fails");
  }

  void connect() {
    // LibTorch would warn of each attempt before rank 0 listens, and of several addresses of a name
    // it would wait for the first one.
    std::string address = place_.host;
    if (!options_.isServer) {
      constexpr double kNoLimit_s = 1e6;  // the other thread gives up
      const int connected = cluster::connect_to(place_.host, place_.port, kNoLimit_s);
      address = cluster::address_of_peer(connected);
      ::close(connected);
    }
    // A launcher that starts the job again keeps the store and its values.
    store_ = c10::make_intrusive<c10d::PrefixStore>(
        cat("sluice/", member_.attempt), c10::make_intrusive<c10d::TCPStore>(address, options_));
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
    begin(Stage::kCome);
    const std::string holder =
        store_->compareSet(member_key(member_.rank), std::string(), published_);
    if (holder != published_)
      refuse("RANK",
             cat(member_.rank, " in two processes: ", first_field(holder), ", and ",
                 first_field(published_)),
             "a rank of its own for each; if one has ended, start all processes again");
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
    begin(Stage::kRead);
    store_->set(reader_key(member_.rank), std::string());
    store_->add(kRead, 1);
    // Rank 0 serves the store: it stays until all have read.
    if (member_.rank == 0) until([&] { return store_->add(kRead, 0) >= member_.size; });
  }

  void begin(Stage stage) {
    stage_ = stage;
    status_.set(stage, member_.rank == 0 ? "all others" : "0");
  }

  // Rank 0 looks for all: with many processes, the store would not bear that each does.
  void learn_who_is_missing() {
    std::string missing;
    if (member_.rank == 0) {
      constexpr int kMostNamed = 20;
      int num_missing = 0;
      for (int rank = 0; rank < member_.size; ++rank)
        if (!store_->check({stage_ == Stage::kCome ? member_key(rank) : reader_key(rank)}) &&
            ++num_missing <= kMostNamed)
          missing += cat(missing.empty() ? "" : ", ", rank);
      if (num_missing > kMostNamed) missing += cat(" and ", num_missing - kMostNamed, " more");
      store_->set(kMissing, missing);
    } else {
      missing = store_->check({kMissing}) ? store_->get_to_str(kMissing) : "0";
    }
    status_.set(stage_, missing);
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
  const Place place_;
  c10d::TCPStoreOptions options_;
  Stage stage_ = Stage::kConnect;
  Status status_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::vector<std::string> all_;
  std::atomic<bool> abandoned_ = false;
};

}  // namespace

void run_checked(std::function<void()> body, const std::function<void()>& check) {
  std::packaged_task<void()> task([body = std::move(body), destination = log::current()] {
    const log::Redirect redirect(destination);
    body();
  });
  std::future<void> end = task.get_future();
  {
    // Signals are for the thread that waits: after an interrupted system call, LibTorch begins to
    // wait again.
    const BlockedStops blocked;
    std::thread(std::move(task)).detach();
  }
  while (end.wait_for(milliseconds(20)) != std::future_status::ready) check();
  end.get();
}

Meeting meet(const cluster::Member& member, const cluster::DistributedConfig& config,
             const std::string& published) {
  const auto arrival = std::make_shared<Arrival>(member, config, published);
  const double begin_s = monotonic_s(), limit_s = config.start_timeout.count;
  const std::string limit = cat(human_duration(limit_s), " (distributed.start_timeout)");
  bool is_silent = member.local_rank == 0;
  const auto check = [&] {
    throw_if_stopped(arrival->subject());
    const double waited_s = monotonic_s() - begin_s;
    if (waited_s > limit_s)
      fail(ExitCode::kPeerLost, arrival->subject(),
           cat(arrival->status(), "; gave up after ", limit));
    if (waited_s > kSilence_s && std::exchange(is_silent, false))
      log::info(cat(arrival->subject(), ": ", arrival->status(), "; waiting for up to ", limit));
  };
  try {
    run_checked([arrival] { arrival->run(); }, check);
  } catch (const UserError&) {
    arrival->abandon();
    throw;
  }
  return arrival->result();
}

}  // namespace sluice::dist

#endif
