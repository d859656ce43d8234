// Hashes and records of cells.
#include "compare/cell.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "tests/base/temporary_directory.h"

namespace sluice::compare {
namespace {

RunFacts facts() {
  return {.config = "somewhere",
          .identity = "model: {ffn: relu}\n",
          .data_fingerprint = "0123",
          .env = {.cpu = "A", .device = "cpu", .precision = "bf16", .threads = 2}};
}

// They identify users' finished cells and may change only with kNumericsVersion.
TEST(CellHash, IsStable) {
  EXPECT_EQ(cell_hash(facts()), "f15e6d161e387584018bea62bd3ef084");
  EXPECT_EQ(family_hash(facts()), "59e76ade579f16d036eab2d1bbe53f59");
}

TEST(CellHash, DependsOnlyOnWhatDeterminesTheResult) {
  const std::string hash = cell_hash(facts()), family = family_hash(facts());
  RunFacts other = facts();
  other.config = "elsewhere";
  other.env.cpu = "B";
  other.env.threads = 1;
  other.env.device = "cuda";
  other.tokenizer_hash = "part of the fingerprint";
  EXPECT_EQ(cell_hash(other), hash);
  other = facts();
  other.env.precision = "fp32";
  EXPECT_NE(cell_hash(other), hash);
  EXPECT_EQ(family_hash(other), family);
  other = facts();
  other.identity += "x";
  EXPECT_NE(cell_hash(other), hash);
  EXPECT_NE(family_hash(other), family);
  other = facts();
  other.data_fingerprint = "0124";
  EXPECT_NE(family_hash(other), family);
}

TEST(CellRecord, ReadsBackAsWritten) {
  const sluice::testing::TemporaryDirectory directory;
  const auto path = directory.path() / "cell.json";
  EXPECT_FALSE(read_record(path));
  const CellRecord record{.settings = {{"model.ffn", "geglu"}, {"a", "\"3\""}},
                          .candidate = {{"optimizer.lr", "1e-3"}},
                          .seed = 18446744073709551615U,
                          .state = CellState::kDiverged,
                          .remark = "NaN \xff",
                          .hash = "h",
                          .family = "f",
                          .env = facts().env,
                          .wall_seconds = 1.5};
  write_record(record, path);
  const auto read = read_record(path);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->settings, record.settings);
  EXPECT_EQ(read->candidate, record.candidate);
  EXPECT_EQ(read->seed, record.seed);
  EXPECT_EQ(read->env, record.env);
  EXPECT_EQ(read->state, record.state);
  EXPECT_EQ(read->wall_seconds, 1.5);
}

TEST(CellRecord, RejectsDamagedFiles) {
  const sluice::testing::TemporaryDirectory directory;
  const auto path = directory.path() / "cell.json";
  for (const char* text :
       {"", "{}", "[1]", R"({"format": 1, "settings": {}})", R"({"format": 2})"}) {
    std::ofstream(path) << text;
    try {
      read_record(path);
      ADD_FAILURE() << text;
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
    }
  }
}

}  // namespace
}  // namespace sluice::compare
