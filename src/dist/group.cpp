#include "dist/group.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/text_format.h"

#ifdef SLUICE_HAS_GLOO
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_destination.h"
#include "cluster/address.h"
#include "cluster/watch.h"
#include "dist/connection.h"
#include "dist/transfer.h"

namespace sluice::dist {
namespace {

using Bytes = std::vector<std::uint8_t>;
using std::chrono::milliseconds;

// Separates the fields of a value in the store. No field contains it.
constexpr char kSeparator = '\x1f';

milliseconds in_ms(const config::Seconds& seconds) {
  return milliseconds(static_cast<std::int64_t>(seconds.count * 1000));
}

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }
std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

std::string member_key(int rank) { return cat("member/", rank); }

std::vector<std::string> fields_of(const std::string& text) {
  std::vector<std::string> fields(1);
  for (const char c : text) {
    if (c == kSeparator)
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}

// With which the others end.
ExitCode code_of(const cluster::Lost& lost) {
  return lost.code != 0 ? static_cast<ExitCode>(lost.code) : ExitCode::kPeerLost;
}

// "node3, process 1234"
std::string place_of_this() { return cat(cluster::host_name(), ", process ", ::getpid()); }

c10::intrusive_ptr<c10d::Store> open_store(const cluster::Member& member,
                                           const cluster::DistributedConfig& config) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(config.port.value_or(member.port));
  options.timeout = in_ms(config.start_timeout);
  options.waitWorkers = false;
  options.isServer = member.rank == 0 && !member.is_served;
  require(options.port != 0, ExitCode::kUsage, "MASTER_PORT",
          cat("missing; expected a port for the processes of ", member.launcher,
              ", or distributed.port"));
  // Where the others look for it, and not, as LibTorch's server would, at every interface.
  const std::string host =
      options.isServer ? cluster::address_towards(member.address) : member.address;
  if (options.isServer) options.masterListenFd = cluster::listen_at(host, options.port);
  try {
    // A launcher that starts the job again keeps the store and its values.
    return c10::make_intrusive<c10d::PrefixStore>(
        cat("sluice/", member.attempt), c10::make_intrusive<c10d::TCPStore>(host, options));
  } catch (const std::exception&) {
    fail(ExitCode::kPeerLost, cat("rank ", member.rank),
         cat("no answer at ", host, ":", options.port, ", where the processes meet, within ",
             human_duration(config.start_timeout.count), " (distributed.start_timeout)"));
  }
}

// The store fails if the process that serves it ends.
template <class Body>
auto with_store_errors(int rank, const Body& body) {
  try {
    return body();
  } catch (const UserError&) {
    throw;
  } catch (const std::exception&) {
    fail(ExitCode::kPeerLost, cat("rank ", rank),
         "lost the connection to the place where the processes meet");
  }
}

// What each rank has published, by rank.
std::vector<std::string> meet(c10d::Store& store, const cluster::Member& member,
                              const std::string& published, const config::Seconds& timeout) {
  constexpr const char* kNumRead = "num_read";
  store.set(member_key(member.rank), bytes_of(published));
  std::vector<std::string> keys;
  for (int rank = 0; rank < member.size; ++rank) keys.push_back(member_key(rank));
  try {
    store.wait(keys, in_ms(timeout));
  } catch (const std::exception&) {
    std::string missing;
    for (int rank = 0; rank < member.size; ++rank)
      if (!store.check({keys[static_cast<std::size_t>(rank)]}))
        missing += cat(missing.empty() ? "" : ", ", rank);
    fail(ExitCode::kPeerLost, cat("rank ", member.rank),
         cat("these ranks did not start within ", human_duration(timeout.count),
             " (distributed.start_timeout): ", missing));
  }
  std::vector<std::string> all;
  for (const std::string& key : keys) all.push_back(text_of(store.get(key)));
  // Rank 0 serves the store: it stays until all have read.
  std::int64_t num_read = store.add(kNumRead, 1);
  const double begin_s = monotonic_s();
  while (member.rank == 0 && num_read < member.size && monotonic_s() - begin_s < timeout.count) {
    std::this_thread::sleep_for(milliseconds(2));
    num_read = store.add(kNumRead, 0);
  }
  return all;
}

// What a rank shows the others, and what it has received.
std::string joined(std::span<const Identity> identities) {
  std::string text = place_of_this();
  for (const Identity& identity : identities) text += kSeparator + identity.value;
  return text;
}
void require_same_values(std::span<const Identity> identities, std::span<const std::string> texts) {
  std::vector<std::vector<std::string>> all;
  for (const std::string& text : texts) all.push_back(fields_of(text));
  for (std::size_t rank = 1; rank < all.size(); ++rank)
    for (std::size_t i = 0; i < identities.size(); ++i) {
      const std::string &found = all[rank].at(i + 1), &expected = all[0].at(i + 1);
      if (found != expected)
        fail(ExitCode::kUsage, cat("rank ", rank, " (", all[rank][0], "): ", identities[i].name),
             found, cat(expected, ", as in rank 0 (", all[0][0], ")"));
    }
}

std::unique_ptr<cluster::Watch> start_watch(c10d::Store& store, const cluster::Member& member,
                                            const cluster::DistributedConfig& config,
                                            const std::string& address,
                                            cluster::Watch::OnLost on_lost) {
  constexpr const char* kWatch = "watch";
  if (member.rank == 0) {
    const int listening = cluster::listen_at(address, /*port=*/0);
    store.set(kWatch, bytes_of(cat(address, kSeparator, cluster::port_of(listening))));
    return cluster::Watch::serve(listening, member.size, std::move(on_lost));
  }
  const std::vector<std::string> fields = fields_of(text_of(store.get(kWatch)));
  return cluster::Watch::join(fields.at(0), std::stoi(fields.at(1)), member.rank,
                              config.start_timeout.count, std::move(on_lost));
}

}  // namespace

bool has_gloo() { return true; }

Group::Group(const cluster::Member& member, const cluster::DistributedConfig& config,
             std::span<const Identity> identities)
    : member_(member), connection_(std::make_unique<Connection>()) {
  const std::string address = config.interface.value
                                  ? cluster::address_of_interface(*config.interface)
                                  : cluster::address_towards(member.address);
  c10::intrusive_ptr<c10d::Store> store = open_store(member, config);
  connection_->store = store;
  connection_->timeout_s = config.timeout.count;
  const std::vector<std::string> texts = with_store_errors(
      member.rank, [&] { return meet(*store, member, joined(identities), config.start_timeout); });
  for (const std::string& text : texts) connection_->places.push_back(fields_of(text)[0]);
  require_same_values(identities, texts);
  connection_->watch = with_store_errors(member.rank, [&] {
    return start_watch(
        *store, member, config, address,
        [destination = log::current(), this](const cluster::Lost& lost) {
          const log::Redirect redirect(destination);
          // One that left with an error reports it itself.
          if (lost.code == 0)
            log::error(cat(text_of_loss(lost, connection_->timeout_s), "; stopping"));
          if (ends_if_lost_ && lost.code != static_cast<int>(ExitCode::kInterrupted))
            std::_Exit(static_cast<int>(code_of(lost)));
        });
  });
  const auto options = c10d::ProcessGroupGloo::Options::create(in_ms(config.timeout));
  options->threads = 1;
  // Connected now and not at first use: Gloo's time-outs do not hold for a lazy connection to a
  // process that has died.
  options->devices.push_back(
      c10d::ProcessGroupGloo::createDeviceForHostname(address, /*lazyInit=*/false));
  try {
    connection_->backend =
        c10::make_intrusive<c10d::ProcessGroupGloo>(store, member.rank, member.size, options);
  } catch (const std::exception& error) {
    if (const auto lost = connection_->watch->lost())
      throw UserError(ExitCode::kPeerLost, text_of_loss(*lost, config.start_timeout.count));
    fail(ExitCode::kPeerLost, cat("rank ", member.rank),
         cat("cannot connect to the other processes from ", address,
             "; choose another network with distributed.interface (", error.what(), ")"));
  }
  barrier();  // no rank needs the store from here on
}

Group::~Group() = default;

std::string Group::describe(int rank) const {
  return cat("rank ", rank, " (", connection_->places[static_cast<std::size_t>(rank)], ")");
}

std::string Group::text_of_loss(const cluster::Lost& lost, double limit_s) const {
  std::string what = "ended";
  if (lost.code == static_cast<int>(ExitCode::kInterrupted))
    what = "was stopped by a signal";
  else if (lost.code != 0)
    what = cat("ended with code ", lost.code, "; see its message");
  else if (!lost.ended)
    what = cat("no answer within ", short_number(limit_s), " s (distributed.",
               limit_s == connection_->timeout_s ? "timeout)" : "start_timeout)");
  return cat(describe(lost.rank), ": ", what);
}

void Group::leave(ExitCode code) {
  if (code == ExitCode::kPeerLost)
    connection_->watch.reset();  // not as an exception, of which the others would tell
  else
    connection_->watch->leave(static_cast<int>(code));
}

void Group::end_if_lost() {
  ends_if_lost_ = true;
  if (const std::optional<cluster::Lost> lost = connection_->watch->lost())
    throw UserError(code_of(*lost), text_of_loss(*lost, connection_->timeout_s));
}

void Group::give_up(int suspect, double limit_s) {
  const cluster::Lost lost = limit_s > 0 ? connection_->watch->after_timeout(suspect)
                                         : connection_->watch->after_break(suspect);
  if (lost.rank == rank())
    fail(ExitCode::kPeerLost, describe(rank()),
         "this process did not answer the others, which have given up on it");
  throw UserError(code_of(lost), text_of_loss(lost, limit_s));
}

void Group::exchange(std::span<const Message> sends, std::span<const Message> receives,
                     std::optional<double> timeout_s) {
  Transfer transfer(*this);
  for (const Message& message : receives) transfer.receive(message);
  for (const Message& message : sends) transfer.send(message);
  transfer.finish(timeout_s);
}

void Group::gather(std::span<double> all, const std::function<std::int64_t(int)>& count_of,
                   std::optional<double> timeout_s) {
  // Its own memory: after a failure, Gloo may still use it (see ~Transfer()).
  const at::Tensor whole = at::empty({static_cast<std::int64_t>(all.size())}, at::kDouble);
  auto* values = whole.data_ptr<double>();
  std::copy(all.begin(), all.end(), values);
  std::vector<std::int64_t> begins = {0};
  for (int rank = 0; rank < size(); ++rank) begins.push_back(begins.back() + count_of(rank));
  invariant(begins.back() == whole.numel(), "Group::gather: the counts of all ranks");
  gather(whole, begins, timeout_s);
  std::copy(values, values + whole.numel(), all.begin());
}

void Group::gather(const at::Tensor& whole, std::span<const std::int64_t> begins,
                   std::optional<double> timeout_s) {
  std::vector<Message> sends, receives;
  const auto part = [&](int rank) {
    const auto r = static_cast<std::size_t>(rank);
    return whole.narrow(0, begins[r], begins[r + 1] - begins[r]);
  };
  const at::Tensor own = part(rank());
  for (int rank = 0; rank < size(); ++rank) {
    if (rank == this->rank()) continue;
    if (own.numel() > 0) sends.push_back({rank, own});
    if (part(rank).numel() > 0) receives.push_back({rank, part(rank)});
  }
  exchange(sends, receives, timeout_s);
}

void Group::broadcast(std::span<double> values, std::optional<double> timeout_s) {
  gather(
      values, [&](int rank) { return rank == 0 ? std::ssize(values) : 0; }, timeout_s);
}

std::vector<bool> Group::gather_flags(bool own) {
  std::vector<double> all(static_cast<std::size_t>(size()));
  all[static_cast<std::size_t>(rank())] = own;
  gather(all, [](int) { return 1; });
  std::vector<bool> flags;
  for (const double one : all) flags.push_back(one != 0);
  return flags;
}

std::vector<std::string> Group::gather_texts(const std::string& own) {
  std::vector<double> sizes(static_cast<std::size_t>(size()));
  sizes[static_cast<std::size_t>(rank())] = static_cast<double>(own.size());
  gather(sizes, [](int) { return 1; });
  std::vector<std::int64_t> begins = {0};
  for (const double one : sizes) begins.push_back(begins.back() + static_cast<std::int64_t>(one));
  const at::Tensor whole = at::empty({begins.back()}, at::kByte);
  auto* const bytes = reinterpret_cast<char*>(whole.data_ptr<std::uint8_t>());
  std::copy(own.begin(), own.end(), bytes + begins[static_cast<std::size_t>(rank())]);
  gather(whole, begins);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    texts.emplace_back(bytes + begins[i], bytes + begins[i + 1]);
  return texts;
}

void Group::require_same(std::span<const Identity> identities) {
  require_same_values(identities, gather_texts(joined(identities)));
}

void Group::barrier(std::optional<double> timeout_s) {
  std::vector<double> all(static_cast<std::size_t>(size()), 0.0);
  gather(
      all, [](int) { return 1; }, timeout_s);
}

void Group::require_equal(const std::string& what, const Hash128& value) {
  // Exact in float64.
  constexpr std::uint64_t kLow = 0xffffffff;
  const std::array<double, 4> own = {
      static_cast<double>(value.high >> 32), static_cast<double>(value.high & kLow),
      static_cast<double>(value.low >> 32), static_cast<double>(value.low & kLow)};
  std::vector<double> all(own.size() * static_cast<std::size_t>(size()));
  std::copy(own.begin(), own.end(), all.begin() + 4L * rank());
  gather(all, [](int) { return 4; });
  const auto value_of = [&](int rank) {
    return std::vector<double>(all.begin() + 4L * rank, all.begin() + 4L * rank + 4);
  };
  std::map<std::vector<double>, int> counts;
  for (int rank = 0; rank < size(); ++rank) ++counts[value_of(rank)];
  if (counts.size() == 1) return;
  std::vector<double> most = value_of(0);
  for (const auto& [one, count] : counts)
    if (count > counts[most]) most = one;
  std::string others;
  for (int rank = 0; rank < size(); ++rank)
    if (value_of(rank) != most) others += cat(others.empty() ? "" : ", ", describe(rank));
  fail(ExitCode::kPeerLost, what, cat("another value in ", others), "the same in all processes");
}

}  // namespace sluice::dist

#else

namespace sluice::dist {

struct Group::Connection {};

bool has_gloo() { return false; }

Group::Group(const cluster::Member& member, const cluster::DistributedConfig&,
             std::span<const Identity>)
    : member_(member) {
  fail(
      ExitCode::kUsage, cat(member.launcher, ", ", member.size, " processes"),
      "this program was built without the headers of Gloo: install libgloo-dev and build it again");
}

Group::~Group() = default;
void Group::exchange(std::span<const Message>, std::span<const Message>, std::optional<double>) {}
void Group::gather(std::span<double>, const std::function<std::int64_t(int)>&,
                   std::optional<double>) {}
void Group::gather(const at::Tensor&, std::span<const std::int64_t>, std::optional<double>) {}
void Group::broadcast(std::span<double>, std::optional<double>) {}
std::vector<bool> Group::gather_flags(bool) { return {}; }
std::vector<std::string> Group::gather_texts(const std::string&) { return {}; }
void Group::require_same(std::span<const Identity>) {}
void Group::leave(ExitCode) {}
void Group::end_if_lost() {}
void Group::barrier(std::optional<double>) {}
void Group::require_equal(const std::string&, const Hash128&) {}

}  // namespace sluice::dist

#endif
