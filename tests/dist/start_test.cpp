// Failures while the processes of a job meet, before they can exchange anything.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "cluster/watch.h"
#include "dist/group.h"
#include "tests/dist/processes.h"

namespace sluice::dist {
namespace {

using cluster::Member;
using testing::Ended;

constexpr cluster::DistributedConfig kShort{.timeout = {1}, .start_timeout = {10}};

class GroupStart : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_gloo()) GTEST_SKIP() << "built without Gloo's headers";
  }
};

// The store of the job, as Group opens it.
c10::intrusive_ptr<c10d::Store> store_of(const Member& member) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(member.port);
  return c10::make_intrusive<c10d::PrefixStore>(
      "sluice/0", c10::make_intrusive<c10d::TCPStore>(member.address, options));
}

// Rank 1 up to the connection of Gloo, which it never makes.
std::unique_ptr<cluster::Watch> join_without_gloo(const Member& member) {
  const auto store = store_of(member);
  store->set("member/1", std::string("host1, process 1"));
  store->add("num_come", 1);
  store->wait({"member/0"});
  store->add("num_read", 1);
  const std::string text = store->get_to_str("watch");
  const std::size_t end = text.find('\x1f');
  return cluster::Watch::join(text.substr(0, end), std::stoi(text.substr(end + 1)), member.rank,
                              /*timeout_s=*/5);
}

TEST_F(GroupStart, TheEndOfTheStoreIsAnError) {
  const std::vector<Ended> all = testing::run_processes(3, [](const Member& member) -> std::string {
    if (member.rank == 2) return "";  // so that the others wait for it
    if (member.rank == 0)
      std::thread([member] {
        store_of(member)->wait({"member/1"});  // connects when rank 0 serves it
        ::kill(::getpid(), SIGKILL);
      }).detach();
    const Group group(member, kShort, {});
    return "";
  });
  EXPECT_EQ(all[0].exit_code, 128 + SIGKILL);
  EXPECT_EQ(all[1].exit_code, 76);
  EXPECT_TRUE(all[1].text.starts_with("rank 1: lost the connection to 127.0.0.1:")) << all[1].text;
  EXPECT_TRUE(
      all[1].text.ends_with(", where the processes meet; rank 0 has ended, or the network fails"))
      << all[1].text;
  EXPECT_LT(all[1].seconds, all[0].seconds + 2);
}

TEST_F(GroupStart, AnEndBeforeTheConnectionIsNamed) {
  const std::vector<Ended> all = testing::run_processes(2, [](const Member& member) -> std::string {
    if (member.rank == 1) {
      const auto watch = join_without_gloo(member);
      ::kill(::getpid(), SIGKILL);
    }
    const Group group(member, kShort, {});
    return "";
  });
  EXPECT_EQ(all[0].exit_code, 76);
  EXPECT_EQ(all[0].text, "rank 1 (host1, process 1): ended");
}

TEST_F(GroupStart, AConnectionThatFailsNamesTheAddress) {
  const std::vector<Ended> all = testing::run_processes(2, [](const Member& member) -> std::string {
    if (member.rank == 1) {
      const auto watch = join_without_gloo(member);
      while (!watch->lost()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      return "";
    }
    const Group group(member, kShort, {});
    return "";
  });
  EXPECT_EQ(all[0].exit_code, 76);
  EXPECT_TRUE(
      all[0].text.starts_with("rank 0: cannot connect to the other processes from "
                              "127.0.0.1; choose another network with "
                              "distributed.interface ("))
      << all[0].text;
}

}  // namespace
}  // namespace sluice::dist
