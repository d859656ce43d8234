#include "cluster/watch.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "cluster/address.h"

namespace sluice::cluster {
namespace {

constexpr const char* kHost = "127.0.0.1";

struct Job {
  int listening = listen_at(kHost, 0), port = port_of(listening);
  std::unique_ptr<Watch> join(int rank) const { return Watch::join(kHost, port, rank, 5); }
};

// What a watch reports within two seconds.
std::optional<Lost> lost_of(const Watch& watch) {
  for (int i = 0; i < 200 && !watch.lost(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return watch.lost();
}

// A member without a watch: it can end without leaving.
struct Member {
  Member(const Job& job, int rank) : descriptor(connect_to(kHost, job.port, 5)) {
    say("hello " + std::to_string(rank));
  }
  void say(const std::string& line) const {
    const std::string text = line + "\n";
    EXPECT_EQ(::send(descriptor, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  void end() const { ::close(descriptor); }
  int descriptor;
};

TEST(Watch, LeavingIsNoLoss) {
  const Job job;
  const auto first = Watch::serve(job.listening, 3);
  const auto second = job.join(1);
  {
    const auto third = job.join(2);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_FALSE(first->lost());
  EXPECT_FALSE(second->lost());
}

TEST(Watch, AnEndIsKnownToAllAtOnce) {
  const Job job;
  std::promise<int> told;
  const auto first =
      Watch::serve(job.listening, 3, [&](const Lost& lost) { told.set_value(lost.rank); });
  const auto second = job.join(1);
  const Member third(job, 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(second->lost());
  third.end();
  for (const Watch* watch : {first.get(), second.get()}) {
    const std::optional<Lost> lost = lost_of(*watch);
    ASSERT_TRUE(lost);
    EXPECT_EQ(lost->rank, 2);
    EXPECT_TRUE(lost->ended);
  }
  EXPECT_EQ(told.get_future().get(), 2);
  EXPECT_EQ(second->after_break(0).rank, 2);  // not the one whose connection broke as a result
}

TEST(Watch, TheEndOfRank0IsKnown) {
  const Job job;
  auto first = std::make_unique<Job>();  // listens and accepts nothing
  const auto second = Watch::join(kHost, first->port, 1, 5);
  ::close(first->listening);
  const std::optional<Lost> lost = lost_of(*second);
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->rank, 0);
  EXPECT_TRUE(lost->ended);
  ::close(job.listening);
}

TEST(Watch, TheOneThatDoesNotReportIsSilent) {
  const Job job;
  const auto first = Watch::serve(job.listening, 4);
  const auto second = job.join(1);
  const Member third(job, 2), fourth(job, 3);
  // Rank 1 waits for rank 3, which waits for rank 2 itself.
  third.say("");  // not a report
  std::thread report([&] { fourth.say("waits 2"); });
  std::thread own([&] { first->after_timeout(2); });
  const double begin_s = monotonic_s();
  const Lost lost = second->after_timeout(3);
  EXPECT_LT(monotonic_s() - begin_s, 1);
  EXPECT_EQ(lost.rank, 2);
  EXPECT_FALSE(lost.ended);
  report.join();
  own.join();
  EXPECT_EQ(first->lost()->rank, 2);
  third.end();
  fourth.end();
}

// What it says arrives together with its greeting.
TEST(Watch, AnErrorRightAfterTheStartIsNoEnd) {
  const Job job;
  job.join(1)->leave(74);
  const auto first = Watch::serve(job.listening, 2);
  const std::optional<Lost> lost = lost_of(*first);
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->rank, 1);
  EXPECT_EQ(lost->code, 74);
}

// Rank 0 hears both and has nothing to wait for yet.
TEST(Watch, OneOfTwoThatAreCutOffFromEachOtherIsLost) {
  const Job job;
  const auto first = Watch::serve(job.listening, 3);
  const auto second = job.join(1);
  const Member third(job, 2);
  third.say("waits 1");
  const double begin_s = monotonic_s();
  const Lost lost = second->after_timeout(2);
  EXPECT_LT(monotonic_s() - begin_s, 1);
  EXPECT_NE(lost.rank, 0);
  EXPECT_FALSE(lost.ended);
  EXPECT_EQ(first->lost()->rank, lost.rank);
  third.end();
}

TEST(Watch, ARank0ThatDoesNotDecideIsSilent) {
  const Job job;  // accepts nothing
  const auto second = job.join(1);
  const double begin_s = monotonic_s();
  const Lost lost = second->after_timeout(2);
  EXPECT_LT(monotonic_s() - begin_s, 1);
  EXPECT_EQ(lost.rank, 0);
  EXPECT_FALSE(lost.ended);
  ::close(job.listening);
}

// A scanner of ports, or another program, at the watch's port.
TEST(Watch, IgnoresStrangers) {
  const Job job;
  const auto first = Watch::serve(job.listening, 2);
  const int stranger = connect_to(kHost, job.port, 5);
  const std::string text = "GET / HTTP/1.0\n";
  EXPECT_GT(::send(stranger, text.data(), text.size(), 0), 0);
  const int silent = connect_to(kHost, job.port, 5);
  const auto second = job.join(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  ::close(stranger);
  ::close(silent);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(first->lost());
  EXPECT_FALSE(second->lost());
}

TEST(Address, NamesWhatIsWrong) {
  const auto message = [](const auto& body) -> std::string {
    try {
      body();
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  };
  const std::string no_interface = message([] { address_of_interface("nosuch0"); });
  EXPECT_TRUE(no_interface.starts_with("distributed.interface: received `nosuch0`"))
      << no_interface;
  EXPECT_NE(no_interface.find("; expected one of "), std::string::npos) << no_interface;
  EXPECT_NE(no_interface.find("lo"), std::string::npos) << no_interface;
  EXPECT_EQ(address_of_interface("lo"), kHost);
  EXPECT_EQ(own_address(kHost), kHost);
  EXPECT_EQ(own_address("127.0.1.1"), "127.0.1.1");
  EXPECT_EQ(own_address("192.0.2.200"), "");  // for documentation (RFC 5737)
  EXPECT_EQ(address_towards("127.0.0.1"), kHost);
  EXPECT_TRUE(message([] {
                address_towards("no.such.machine.invalid");
              }).starts_with("the machine of rank 0: received `no.such.machine.invalid`"));
  const int taken = listen_at(kHost, 0);
  const int port = port_of(taken);
  EXPECT_TRUE(message([&] {
                listen_at(kHost, port);
              }).starts_with("distributed.port: received " + std::to_string(port)));
  ::close(taken);
  EXPECT_NE(message([&] { connect_to(kHost, port, 0.1); }).find("no connection to rank 0"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::cluster
