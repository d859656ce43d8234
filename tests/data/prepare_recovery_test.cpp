// prepare() with existing, partial, damaged or concurrently written data, and with invalid input.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/signals.h"
#include "tests/data/prepare_support.h"

namespace sluice::data {
namespace {

using sluice::testing::all_ids;
using sluice::testing::message_of;
using sluice::testing::Prepare;
using sluice::testing::write_text;

TEST_F(Prepare, SecondCallOpensTheSameData) {
  const PreparedData first = prepare(settings_);
  const auto time = std::filesystem::last_write_time(first.directory / "prepared.json");
  const PreparedData second = prepare(settings_),
                     opened = open_prepared(settings_.corpus.prepared_dir, first.fingerprint);
  EXPECT_EQ(second.fingerprint, first.fingerprint);
  EXPECT_EQ(std::filesystem::last_write_time(first.directory / "prepared.json"), time);
  EXPECT_EQ(all_ids(opened.streams[Split::kTrain]), all_ids(first.streams[Split::kTrain]));
  EXPECT_EQ(opened.counts[Split::kValid], first.counts[Split::kValid]);
}

TEST_F(Prepare, ResumingAfterAnInterruptProducesTheSameFiles) {
  request_stop(15);
  message_of(ExitCode::kInterrupted, [&] { prepare(settings_); });
  clear_stop();
  const PreparedData whole = prepare(settings_);
  const std::string manifest = read_file(whole.directory / "prepared.json"),
                    shard = read_file(whole.directory / "train-00000.tokens");
  // As after a kill: no manifest, a temporary file, a truncated shard.
  std::filesystem::remove(whole.directory / "prepared.json");
  write_text(whole.directory / "train-00000.tokens", shard.substr(0, shard.size() / 2));
  write_text(whole.directory / "valid-00000.tokens.tmp-1-1", "rest");
  const PreparedData again = prepare(settings_);
  EXPECT_EQ(read_file(again.directory / "prepared.json"), manifest);
  EXPECT_EQ(read_file(again.directory / "train-00000.tokens"), shard);
  EXPECT_FALSE(std::filesystem::exists(again.directory / "valid-00000.tokens.tmp-1-1"));
}

TEST_F(Prepare, ConcurrentCallsTakeTurns) {
  std::vector<std::string> fingerprints(3);
  std::vector<std::thread> threads;
  for (std::string& fingerprint : fingerprints)
    threads.emplace_back([&] { fingerprint = prepare(settings_).fingerprint; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(fingerprints.begin(), fingerprints.end()).size(), 1U);
}

TEST_F(Prepare, ReportsInvalidInput) {
  const auto expect = [&](ExitCode code, std::string_view word) {
    const std::string message = message_of(code, [&] { prepare(settings_); });
    EXPECT_NE(message.find(word), std::string::npos) << message;
  };
  settings_.corpus.holdout = 1e6;
  expect(ExitCode::kBadData, "holds out all");
  settings_.corpus.holdout = 1e-9;
  expect(ExitCode::kBadData, "corpus.holdout: received 1e-09 of");
  settings_.corpus.holdout = 0.1;
  settings_.corpus.tune_holdout = 1e-9;
  expect(ExitCode::kBadData, "corpus.tune_holdout: received 1e-09 of");
  settings_.corpus.tune_holdout = 0;
  settings_.tokenizer = pieces(100'000);
  expect(ExitCode::kUsage, "at most");
  settings_.tokenizer = text::BytesConfig{};
  write_text(folder_ / "empty.txt", "\n\n");
  settings_.corpus.train = {(folder_ / "empty.txt").string()};
  expect(ExitCode::kBadData, "no documents");
  settings_.corpus.train = {(folder_ / "missing.txt").string()};
  expect(ExitCode::kMissingInput, "missing.txt");
  settings_.corpus.train = {(folder_ / "corpus").string()};
  text::SentencePieceConfig given = pieces(300);
  given.model = (folder_ / "corpus/a.txt").string();
  settings_.tokenizer = given;
  expect(ExitCode::kBadData, "a.txt");
}

TEST_F(Prepare, RejectsDamagedFolders) {
  const PreparedData data = prepare(settings_);
  for (const char* name :
       {"prepared.json", "train-00000.tokens", "valid-00000.tokens", "tokenizer.json"}) {
    const std::string good = read_file(data.directory / name);
    write_text(data.directory / name, good.substr(0, good.size() / 2));
    message_of(ExitCode::kBadData,
               [&] { open_prepared(settings_.corpus.prepared_dir, data.fingerprint); });
    write_text(data.directory / name, good);
  }
  const std::string train = read_file(data.directory / "train-00000.tokens");
  write_text(data.directory / "train-00000.tokens",
             read_file(data.directory / "valid-00000.tokens"));
  message_of(ExitCode::kBadData,
             [&] { open_prepared(settings_.corpus.prepared_dir, data.fingerprint); });
  write_text(data.directory / "train-00000.tokens", train);
  EXPECT_EQ(open_prepared(settings_.corpus.prepared_dir, data.fingerprint).counts[Split::kTrain],
            data.counts[Split::kTrain]);
  std::string older = read_file(data.directory / "prepared.json");
  older.replace(older.find("\"format\": 2"), 11, "\"format\": 1");
  write_text(data.directory / "prepared.json", older);
  const std::string message = message_of(
      ExitCode::kBadData, [&] { open_prepared(settings_.corpus.prepared_dir, data.fingerprint); });
  EXPECT_NE(message.find("format 1; expected format 2"), std::string::npos) << message;
  message_of(ExitCode::kMissingInput,
             [&] { open_prepared(settings_.corpus.prepared_dir, std::string(32, '0')); });
  message_of(ExitCode::kBadData, [&] {
    open_prepared(settings_.corpus.prepared_dir, "../" + data.fingerprint.substr(3));
  });
}

TEST_F(Prepare, IgnoresADamagedHashCache) {
  const std::string fingerprint = prepare(settings_).fingerprint;
  for (const char* content : {"", "[]", "{\"x\": 1}", "\xFF"}) {
    write_text(folder_ / "prepared/cache/hashes.json", content);
    EXPECT_EQ(prepare(settings_).fingerprint, fingerprint);
  }
}

}  // namespace
}  // namespace sluice::data
