// Preparation that is killed resumes after the last complete shard and produces the same files as
// an uninterrupted one.
#include <gtest/gtest.h>

#include <map>

#include "base/file.h"
#include "data/block_encoder.h"
#include "data/holdout.h"
#include "data/shard.h"
#include "data/split_reader.h"
#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

using sluice::testing::plain_text;
using sluice::testing::TemporaryDirectory;
using sluice::testing::write_text;

class Killed {};

class Resume : public ::testing::TestWithParam<text::Separator> {
 protected:
  Resume() {
    corpus_.format = text::Format::kText;  // documents of several blocks
    corpus_.separator = GetParam();
    for (int i = 0; i < 4; ++i) {
      const auto path = folder_ / (std::to_string(i) + ".txt");
      write_text(path, plain_text(static_cast<std::uint64_t>(i), i == 1 ? 3 : 7000));
      files_.push_back(path);
    }
  }
  // Encodes one split to `directory`, in small shards; throws after `kill_after` items, if given.
  void encode(const std::filesystem::path& directory, int kill_after = -1) const {
    const auto tokenizer = text::make_bytes_tokenizer();
    ShardWriter writer(real_files(), {.directory = directory,
                                      .split = "valid",
                                      .vocab_size = 257,
                                      .fingerprint = std::string(32, 'c'),
                                      .shard_bytes = 150'000});
    BlockEncoder encoder(*tokenizer, corpus_.separator, 2, writer.position(),
                         [&](std::span<const std::int32_t> ids, const SplitPosition& after) {
                           if (kill_after-- == 0) throw Killed();
                           writer.add(ids, after);
                         });
    const auto select = [](std::string_view text, const std::filesystem::path&, std::uint64_t) {
      return Holdout::fraction(0.7).contains(holdout_hash(text));
    };
    text::FaultReport faults;
    read_split({.files = files_, .corpus = corpus_, .select = select, .start = writer.position()},
               faults, [&](SplitItem item) { encoder.add(std::move(item)); });
    encoder.finish();
    writer.finish();
  }
  static std::map<std::string, std::string> content(const std::filesystem::path& directory) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
      files[entry.path().filename()] = read_file(entry.path());
    return files;
  }
  TemporaryDirectory folder_;
  text::CorpusConfig corpus_;
  std::vector<std::filesystem::path> files_;
};
INSTANTIATE_TEST_SUITE_P(Separators, Resume,
                         ::testing::Values(text::Separator::kEos, text::Separator::kNone));

TEST_P(Resume, AfterAnyItemProducesTheSameFiles) {
  const TemporaryDirectory whole;
  encode(whole.path());
  const auto expected = content(whole.path());
  ASSERT_GT(expected.size(), 3U);
  bool killed = true;
  int num_kills = 0;
  for (int items = 0; killed; ++items) {
    const TemporaryDirectory directory;
    killed = false;
    try {
      encode(directory.path(), items);
    } catch (const Killed&) {
      killed = true;
      num_kills += 1;
    }
    encode(directory.path());
    ASSERT_EQ(content(directory.path()), expected) << "killed after " << items << " items";
  }
  EXPECT_GT(num_kills, 12);
}

}  // namespace
}  // namespace sluice::data
