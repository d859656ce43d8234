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

#include "base/log.h"
#include "base/log_destination.h"
#include "base/signals.h"
#include "cluster/address.h"
#include "cluster/watch.h"
#include "dist/connection.h"
#include "dist/meeting.h"
#include "dist/transfer.h"

namespace sluice::dist {
namespace {

using std::chrono::milliseconds;

milliseconds in_ms(const config::Seconds& seconds) {
  return milliseconds(static_cast<std::int64_t>(seconds.count * 1000));
}

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

// What LibTorch says of an error, without the stack.
std::string reason_of(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find("\nException raised from"));
}

// With which the others end.
ExitCode code_of(const cluster::Lost& lost) {
  return lost.code != 0 ? static_cast<ExitCode>(lost.code) : ExitCode::kPeerLost;
}

// "node3, process 1234"
std::string place_of_this() { return cat(cluster::host_name(), ", process ", ::getpid()); }

// What a rank shows the others, and what it has received.
std::string joined(std::span<const Identity> identities) {
  std::string text = place_of_this();
  for (const Identity& identity : identities) text += kSeparator + identity.value;
  return text;
}

struct FoundDifference {
  int rank;
  const Identity& identity;
  Difference values;
};
std::optional<FoundDifference> first_difference(std::span<const Identity> identities,
                                                std::span<const std::string> texts) {
  const std::vector<std::string> expected = fields_of(texts[0]);
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    const std::vector<std::string> found = fields_of(texts[rank]);
    for (std::size_t i = 0; i < identities.size(); ++i)
      if (found.at(i + 1) != expected.at(i + 1))
        return FoundDifference{static_cast<int>(rank),
                               identities[i],
                               {identities[i].name, expected[i + 1], found[i + 1]}};
  }
  return std::nullopt;
}

[[noreturn]] void refuse(int rank, std::span<const std::string> texts, const Difference& one) {
  const std::string &place = texts[static_cast<std::size_t>(rank)], &first = texts[0];
  fail(ExitCode::kUsage, cat("rank ", rank, " (", fields_of(place)[0], "): ", one.name), one.found,
       cat(one.expected, ", as in rank 0 (", fields_of(first)[0], ")"));
}

std::unique_ptr<cluster::Watch> start_watch(const c10::intrusive_ptr<c10d::Store>& store,
                                            const cluster::Member& member,
                                            const cluster::DistributedConfig& config,
                                            const std::string& address,
                                            cluster::Watch::OnLost on_lost) {
  constexpr const char* kWatch = "watch";
  if (member.rank == 0) {
    const int listening = cluster::listen_at(address, /*port=*/0);
    const std::string place = cat(address, kSeparator, cluster::port_of(listening));
    store->set(kWatch, place);
    return cluster::Watch::serve(listening, member.size, std::move(on_lost));
  }
  const auto place = std::make_shared<std::string>();
  run_checked([store, place] { *place = store->get_to_str(kWatch); },
              [&] { throw_if_stopped(cat("rank ", member.rank)); });
  const std::vector<std::string> fields = fields_of(*place);
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
  const Meeting meeting = meet(member, config, joined(identities));
  const c10::intrusive_ptr<c10d::Store> store = meeting.store;
  connection_->store = store;
  connection_->timeout_s = config.timeout.count;
  for (const std::string& text : meeting.published)
    connection_->places.push_back(fields_of(text)[0]);
  if (const auto found = first_difference(identities, meeting.published))
    refuse(found->rank, meeting.published, found->values);
  const auto on_lost = [destination = log::current(), this](const cluster::Lost& lost) {
    const log::Redirect redirect(destination);
    // One that left with an error reports it itself.
    if (lost.code == 0) log::error(cat(text_of_loss(lost, connection_->timeout_s), "; stopping"));
    if (ends_if_lost_ && lost.code != static_cast<int>(ExitCode::kInterrupted))
      std::_Exit(static_cast<int>(code_of(lost)));
  };
  try {
    connection_->watch = start_watch(store, member, config, address, on_lost);
  } catch (const UserError&) {
    throw;
  } catch (const std::exception&) {
    fail(ExitCode::kPeerLost, cat("rank ", member.rank), meeting.lost);
  }
  const auto options = c10d::ProcessGroupGloo::Options::create(in_ms(config.timeout));
  options->threads = 1;
  // Connected now and not at first use: Gloo's time-outs do not hold for a lazy connection to a
  // process that has died.
  options->devices.push_back(
      c10d::ProcessGroupGloo::createDeviceForHostname(address, /*lazyInit=*/false));
  const auto throw_if_lost = [&] {
    if (const auto lost = connection_->watch->lost())
      throw UserError(code_of(*lost), text_of_loss(*lost, config.start_timeout.count));
  };
  try {
    const auto connected = std::make_shared<c10::intrusive_ptr<c10d::Backend>>();
    run_checked(
        [connected, store, rank = member.rank, size = member.size, options] {
          *connected = c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options);
        },
        [&] {
          throw_if_stopped(cat("rank ", member.rank));
          throw_if_lost();
        });
    connection_->backend = *connected;
  } catch (const UserError&) {
    throw;
  } catch (const std::exception& error) {
    throw_if_lost();
    fail(ExitCode::kPeerLost, cat("rank ", member.rank),
         cat("cannot connect to the other processes from ", address,
             "; choose another network with distributed.interface (", reason_of(error), ")"));
  }
  barrier();  // no rank needs the store from here on
}

Group::~Group() = default;

std::string Group::describe(int rank) const {
  return cat("rank ", rank, " (", connection_->places[static_cast<std::size_t>(rank)], ")");
}

int Group::num_on_this_machine() const {
  const auto host_of = [](const std::string& place) { return place.substr(0, place.rfind(", ")); };
  const std::vector<std::string>& all = connection_->places;
  return static_cast<int>(std::count_if(all.begin(), all.end(), [&](const std::string& one) {
    return host_of(one) == host_of(all[static_cast<std::size_t>(rank())]);
  }));
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
  const std::vector<std::string> texts = gather_texts(joined(identities));
  const auto found = first_difference(identities, texts);
  if (!found) return;
  if (!found->identity.compare) refuse(found->rank, texts, found->values);
  // All have found the same difference.
  const std::vector<std::string> details = gather_texts(found->identity.details);
  refuse(found->rank, texts,
         found->identity.compare(details[0], details[static_cast<std::size_t>(found->rank)]));
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
int Group::num_on_this_machine() const { return 1; }
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
