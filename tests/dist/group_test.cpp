#include "dist/group.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/text_format.h"
#include "dist/transfer.h"
#include "tests/dist/processes.h"

namespace sluice::dist {
namespace {

using cluster::DistributedConfig;
using cluster::Member;
using testing::Ended;
using testing::run_processes;

constexpr double kTimeout_s = 1;

DistributedConfig quick() { return {.timeout = {kTimeout_s}, .start_timeout = {10}}; }

class GroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_gloo()) GTEST_SKIP() << "built without Gloo's headers";
  }
};

void expect_ok(const std::vector<Ended>& all, const std::string& text = "") {
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    EXPECT_EQ(all[rank].exit_code, 0) << "rank " << rank << ": " << all[rank].text;
    EXPECT_EQ(all[rank].text, text) << "rank " << rank;
  }
}

TEST_F(GroupTest, ExchangesWithEveryRank) {
  for (int size = 1; size <= 4; ++size)
    expect_ok(run_processes(size, [](const Member& member) -> std::string {
      Group group(member, quick(), {});
      for (int round = 0; round < 20; ++round) {
        // Sizes depend on both ranks; two messages between each pair.
        std::vector<Group::Message> sends, receives;
        for (int rank = 0; rank < group.size(); ++rank) {
          if (rank == group.rank()) continue;
          for (int i = 0; i < 2; ++i) {
            sends.push_back({rank, at::full({1 + 10 * rank + group.rank() + 3 * i},
                                            100 * round + 10 * group.rank() + i, at::kFloat)});
            receives.push_back(
                {rank, at::zeros({1 + 10 * group.rank() + rank + 3 * i}, at::kFloat)});
          }
        }
        group.exchange(sends, receives);
        for (std::size_t i = 0; i < receives.size(); ++i) {
          const float expected = static_cast<float>(100 * round + 10 * receives[i].rank + i % 2);
          if (!receives[i].tensor.eq(expected).all().item<bool>())
            return cat("round ", round, " from ", receives[i].rank);
        }
      }
      return "";
    }));
}

TEST_F(GroupTest, GathersValuesInTheOrderOfRanks) {
  expect_ok(run_processes(3,
                          [](const Member& member) {
                            Group group(member, quick(), {});
                            // 0, 1 and 2 values
                            std::vector<double> all(3, -1.0);
                            if (group.rank() == 1) all[0] = 0.1;
                            if (group.rank() == 2) all[1] = 0.2, all[2] = 0.3;
                            group.gather(all, [](int rank) { return rank; });
                            group.barrier();
                            return cat(all[0], " ", all[1], " ", all[2]);
                          }),
            "0.1 0.2 0.3");
}

TEST_F(GroupTest, TransfersWhileAProcessComputes) {
  constexpr double kComputing_s = 2;
  const auto all = run_processes(2, [](const Member& member) -> std::string {
    Group group(member, {.timeout = {20}, .start_timeout = {20}}, {});
    const int other = 1 - group.rank();
    // More than the buffers of a connection hold.
    const at::Tensor sent = at::arange(4'000'000, at::kFloat), received = at::zeros_like(sent),
                     sum = at::full({1'000'000}, 1 + group.rank(), at::kFloat);
    Transfer transfer(group);
    const double begin_s = monotonic_s();
    transfer.receive({other, received});
    transfer.send({other, sent});
    transfer.add_all(sum);
    if (group.rank() == 0)
      while (monotonic_s() - begin_s < kComputing_s) {
      }
    const double finish_s = monotonic_s();
    transfer.finish();
    const double waited_s = monotonic_s() - finish_s;
    if (!at::equal(sent, received) || !sum.eq(3).all().item<bool>()) return "other values";
    return waited_s < kComputing_s / 2 ? "" : cat("rank ", group.rank(), " waited ", waited_s);
  });
  expect_ok(all);
}

TEST_F(GroupTest, AnUnfinishedTransferDoesNotHoldAProcess) {
  const auto all = run_processes(2, [](const Member& member) -> std::string {
    Group group(member, {.timeout = {20}, .start_timeout = {20}}, {});
    at::Tensor values = at::zeros({1000});
    if (group.rank() == 1) {
      Transfer transfer(group);
      transfer.receive({0, values});
      group.leave(ExitCode::kIo);
      fail(ExitCode::kIo, "run", "the disk is full");
    }
    group.barrier();
    return "";
  });
  for (const Ended& one : all) {
    EXPECT_EQ(one.exit_code, static_cast<int>(ExitCode::kIo)) << one.text;
    EXPECT_LT(one.seconds, 10);
  }
}

TEST_F(GroupTest, RefusesAProcessThatDiffers) {
  const auto all = run_processes(3, [](const Member& member) -> std::string {
    const std::vector<Identity> identities = {
        {"LibTorch", "2.13"}, {"data", member.rank == 2 ? "a different hash" : "a hash"}};
    Group group(member, quick(), identities);
    return "";
  });
  for (const Ended& one : all) {
    EXPECT_EQ(one.exit_code, 2) << one.text;
    EXPECT_TRUE(one.text.starts_with("rank 2 (")) << one.text;
    EXPECT_NE(one.text.find("): data: received a different hash; expected a hash, as in rank 0 ("),
              std::string::npos)
        << one.text;
  }
}

TEST_F(GroupTest, NamesTheProcessesWithAnotherValue) {
  for (const int size : {2, 3}) {
    const auto all = run_processes(size, [](const Member& member) -> std::string {
      Group group(member, quick(), {});
      const Hash128 equal{7, ~std::uint64_t{0}};
      group.require_equal("weights", equal);
      // A single bit, the lowest of 128. With two processes, rank 0 counts as right.
      group.require_equal("weights", group.rank() == 1 ? Hash128{7, equal.low - 1} : equal);
      return "";
    });
    for (const Ended& one : all) {
      EXPECT_EQ(one.exit_code, 76);
      EXPECT_TRUE(one.text.starts_with("weights: received another value in rank 1 (")) << one.text;
      EXPECT_TRUE(one.text.ends_with("; expected the same in all processes")) << one.text;
    }
  }
}

using Exchange = std::function<void(Group&)>;
void barrier_of(Group& group) { group.barrier(); }
void add_all_of(Group& group) {
  Transfer transfer(group);
  transfer.add_all(at::ones({100'000}));
  // Gloo counts its time limit from the call before.
  std::this_thread::sleep_for(std::chrono::duration<double>(0.2 * kTimeout_s));
  transfer.finish();
}

// Exchanges until it fails; `body` is called by one rank after a while. `last_begin_s`: when the
// last exchange began.
std::string exchange_forever(const Member& member, int rank, const std::function<void()>& body,
                             const Exchange& exchange, double* last_begin_s = nullptr) {
  Group group(member, quick(), {});
  for (int i = 0; i < 1000; ++i) {
    if (i == 5 && group.rank() == rank) body();
    if (last_begin_s != nullptr) *last_begin_s = monotonic_s();
    exchange(group);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return "not lost";
}

void expect_killed_ranks_named(const Exchange& exchange) {
  for (int lost = 0; lost < 3; ++lost) {
    const auto all = run_processes(3, [&](const Member& member) {
      return exchange_forever(
          member, lost, [] { ::kill(::getpid(), SIGKILL); }, exchange);
    });
    for (int rank = 0; rank < 3; ++rank) {
      const Ended& one = all[static_cast<std::size_t>(rank)];
      if (rank == lost) {
        EXPECT_EQ(one.exit_code, 128 + SIGKILL);
        continue;
      }
      EXPECT_EQ(one.exit_code, 76) << one.text;
      EXPECT_TRUE(one.text.starts_with(cat("rank ", lost, " ("))) << one.text;
      EXPECT_TRUE(one.text.ends_with("ended")) << one.text;
      EXPECT_LT(one.seconds, all[static_cast<std::size_t>(lost)].seconds + 2);
    }
  }
}
TEST_F(GroupTest, NamesAKilledRankAtOnce) { expect_killed_ranks_named(barrier_of); }
TEST_F(GroupTest, NamesARankKilledInASum) { expect_killed_ranks_named(add_all_of); }

TEST_F(GroupTest, AllEndWithTheCodeOfTheOneThatFails) {
  for (const ExitCode code : {ExitCode::kIo, ExitCode::kInterrupted}) {
    const auto all = run_processes(3, [&](const Member& member) -> std::string {
      Group group(member, quick(), {});
      try {
        for (int i = 0; i < 1000; ++i) {
          if (i == 5 && group.rank() == 1) fail(code, "run", "the reason");
          group.barrier();
        }
      } catch (const UserError& error) {
        group.leave(error.code());
        throw;
      }
      return "";
    });
    for (int rank = 0; rank < 3; ++rank) {
      const Ended& one = all[static_cast<std::size_t>(rank)];
      EXPECT_EQ(one.exit_code, static_cast<int>(code)) << one.text;
      if (rank == 1) {
        EXPECT_EQ(one.text, "run: the reason");
      } else {
        EXPECT_TRUE(one.text.starts_with("rank 1 (")) << one.text;
        EXPECT_TRUE(one.text.ends_with(code == ExitCode::kIo ? "ended with code 74; see its message"
                                                             : "was stopped by a signal"))
            << one.text;
      }
    }
  }
}

// `limit_s`: of the whole test.
void expect_hung_ranks_named(const Exchange& exchange, double limit_s) {
  for (const int lost : {0, 2}) {
    const auto all = run_processes(
        4,
        [&](const Member& member) {
          double begin_s = 0;
          try {
            return exchange_forever(
                member, lost, [] { ::kill(::getpid(), SIGSTOP); }, exchange, &begin_s);
          } catch (const UserError& error) {
            throw UserError(error.code(), cat(error.what(), '|', monotonic_s() - begin_s));
          }
        },
        limit_s);
    for (int rank = 0; rank < 4; ++rank) {
      if (rank == lost) continue;
      const Ended& one = all[static_cast<std::size_t>(rank)];
      EXPECT_EQ(one.exit_code, 76) << one.text;
      EXPECT_TRUE(one.text.starts_with(cat("rank ", lost, " ("))) << one.text;
      EXPECT_NE(one.text.find("no answer within 1 s (distributed.timeout)"), std::string::npos)
          << one.text;
      EXPECT_LT(std::stod(one.text.substr(one.text.rfind('|') + 1)), kTimeout_s + 1) << one.text;
    }
  }
}
TEST_F(GroupTest, NamesAHungRankAtTheTimeout) { expect_hung_ranks_named(barrier_of, 4); }
TEST_F(GroupTest, NamesARankThatHangsInASum) { expect_hung_ranks_named(add_all_of, 6); }

TEST_F(GroupTest, NamesRanksThatDoNotStart) {
  const auto all = run_processes(3, [](const Member& member) -> std::string {
    if (member.rank != 0) return "";
    DistributedConfig config = quick();
    config.start_timeout = {0.5};
    Group group(member, config, {});
    return "";
  });
  EXPECT_EQ(all[0].exit_code, 76);
  EXPECT_TRUE(all[0].text.starts_with("rank 0: ranks that have not come to 127.0.0.1:"))
      << all[0].text;
  EXPECT_TRUE(all[0].text.ends_with(": 1, 2; gave up after 500 ms (distributed.start_timeout)"))
      << all[0].text;
}

}  // namespace
}  // namespace sluice::dist
