// Guarantees of a finished folder of prepared data: every byte is verified, reading needs no write
// access, and held-out text is not training text.
#include "data/prepared_folder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/file.h"
#include "data/input_files.h"
#include "data/prepared.h"
#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

namespace fs = std::filesystem;
using sluice::testing::message_of;
using sluice::testing::plain_text;
using sluice::testing::TemporaryDirectory;
using sluice::testing::write_text;

class PreparedFolder : public ::testing::Test {
 protected:
  PreparedFolder() {
    write_text(folder_ / "train.txt", plain_text(1, 600));
    settings_.corpus.train = {(folder_ / "train.txt").string()};
    settings_.corpus.prepared_dir = (folder_ / "prepared").string();
    settings_.corpus.holdout = 0.1;
    settings_.tokenizer = text::BytesConfig{};
  }
  void hold_out(const std::string& text) {
    write_text(folder_ / "valid.txt", text);
    settings_.corpus.valid = {(folder_ / "valid.txt").string()};
  }
  TemporaryDirectory folder_;
  PrepareSettings settings_;
};

TEST_F(PreparedFolder, DetectsAFlippedBitInAnyFile) {
  settings_.corpus.tune_holdout = 0.2;
  const PreparedData data = prepare(settings_);
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(data.directory))
    names.insert(entry.path().filename().string());
  for (const Split split : kSplits)
    EXPECT_TRUE(names.contains(std::string(split_name(split)) + "-00000.tokens"))
        << split_name(split);
  for (const std::string& name : names) {
    const std::string good = read_file(data.directory / name);
    for (std::size_t at = 0; at < good.size(); at += 1 + good.size() / 97) {
      std::string damaged = good;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
      write_text(data.directory / name, damaged);
      EXPECT_THROW(open_prepared(settings_.corpus.prepared_dir, data.fingerprint).verify(),
                   UserError)
          << name << " at byte " << at;
    }
    write_text(data.directory / name, good);
  }
  EXPECT_NO_THROW(open_prepared(settings_.corpus.prepared_dir, data.fingerprint).verify());
}

// Earlier versions wrote no seal and counted blocks, but not bytes.
TEST_F(PreparedFolder, ReadsFilesOfEarlierVersions) {
  hold_out("unseen text\n\n" + plain_text(1, 20));
  const PreparedData data = prepare(settings_);
  const fs::path path = data.directory / kManifestName;
  std::string older = read_file(path);
  older = older.substr(0, older.find(",\n  \"seal_xxh3_128\"")) + "\n}\n";
  const std::size_t at = older.find("  \"bytes_in_both\"");
  ASSERT_NE(at, std::string::npos);
  older.erase(at, older.find('\n', at) + 1 - at);
  write_text(path, older);
  const PreparedData opened = prepare(settings_);
  EXPECT_EQ(opened.fingerprint, data.fingerprint);
  EXPECT_EQ(opened.overlap.num_documents, data.overlap.num_documents);
  EXPECT_FALSE(opened.overlap.num_bytes.has_value());
}

// A file in place of the cache folder makes writing fail for every user, including root.
TEST_F(PreparedFolder, PreparedDataNeedsNoWriteAccess) {
  const std::string fingerprint = prepare(settings_).fingerprint;
  fs::remove_all(folder_ / "prepared/cache");
  write_text(folder_ / "prepared/cache", "");
  EXPECT_EQ(prepare(settings_).fingerprint, fingerprint);
  ASSERT_TRUE(find_prepared(settings_).has_value());
  settings_.corpus.holdout = 0.2;  // not prepared yet: needs write access
  const std::string message = message_of(ExitCode::kIo, [&] { prepare(settings_); });
  EXPECT_NE(message.find("prepared/cache"), std::string::npos) << message;
}

// Later than any recent change of a file in these tests.
std::int64_t soon() { return wall_clock_ns() + 10'000'000'000; }

TEST_F(PreparedFolder, DetectsAnEditThatKeepsSizeAndTime) {
  const fs::path file = folder_ / "train.txt", cache = folder_ / "cache/hashes.json";
  const std::string text = read_file(file);
  const auto time = fs::last_write_time(file);
  const auto hash = [&] { return hash_inputs({file}, cache, real_files(), &soon).front().hash; };
  const Hash128 before = hash();
  ASSERT_TRUE(fs::exists(cache));
  std::string edited = text;
  edited[100] = edited[100] == 'x' ? 'y' : 'x';
  std::ofstream(file, std::ios::in | std::ios::out) << edited;  // the same inode
  fs::last_write_time(file, time);
  EXPECT_EQ(hash(), hash_of(edited));
  EXPECT_NE(hash(), before);
}

// A second change within the timestamp granularity would keep the same stamp.
TEST_F(PreparedFolder, DoesNotCacheARecentlyChangedFile) {
  const fs::path file = folder_ / "train.txt", cache = folder_ / "cache/hashes.json";
  fs::last_write_time(file, fs::last_write_time(file) - std::chrono::hours(1));
  hash_inputs({file}, cache, real_files());
  EXPECT_FALSE(fs::exists(cache)) << "an old modification time is not sufficient";
  hash_inputs({file}, cache, real_files(), &soon);
  EXPECT_TRUE(fs::exists(cache));
}

TEST_F(PreparedFolder, TouchedFilesAreUnchanged) {
  const std::vector<InputFile> inputs =
      hash_inputs({folder_ / "train.txt"}, folder_ / "cache/hashes.json", real_files());
  fs::last_write_time(folder_ / "train.txt",
                      fs::last_write_time(folder_ / "train.txt") - std::chrono::hours(1));
  EXPECT_NO_THROW(check_unchanged(inputs));
  std::string text = read_file(folder_ / "train.txt");
  text[0] = '#';
  write_text(folder_ / "train.txt", text);
  message_of(ExitCode::kBadData, [&] { check_unchanged(inputs); });
}

TEST_F(PreparedFolder, CountsOverlapInDocumentsAndBytes) {
  write_text(folder_ / "train.txt", plain_text(1, 600) + "\n\nAmen.");
  hold_out("Amen.\n\nnot seen before\n\nAmen.\n\nnor this text");
  const PreparedData data = prepare(settings_);
  EXPECT_EQ(data.counts[Split::kValid].num_documents, 4U);
  EXPECT_EQ(data.overlap.num_documents, 2U);
  EXPECT_EQ(data.overlap.num_bytes, 10U);
  // As one document, its blocks differ from those of the training file.
  settings_.corpus.format = text::Format::kText;
  EXPECT_EQ(prepare(settings_).overlap.num_documents, 0U);
}

// Bytes are counted by block; a document counts only if it overlaps completely.
TEST_F(PreparedFolder, CountsPartialOverlapOfALongDocumentInBytes) {
  const std::string text = plain_text(4, 20'000);
  write_text(folder_ / "train.txt", text);
  hold_out(text + "and a tail that is not in the training text");
  settings_.corpus.format = text::Format::kText;
  const PreparedData data = prepare(settings_);
  EXPECT_EQ(data.overlap.num_documents, 0U);
  EXPECT_GT(*data.overlap.num_bytes, data.counts[Split::kValid].num_bytes / 2);
  EXPECT_LT(*data.overlap.num_bytes, data.counts[Split::kValid].num_bytes);
}

TEST_F(PreparedFolder, RejectsHeldOutTextThatIsTrainingText) {
  const auto refused = [&](double tune_holdout) {
    settings_.corpus.tune_holdout = tune_holdout;
    const std::string message = message_of(ExitCode::kBadData, [&] { prepare(settings_); });
    EXPECT_NE(message.find("corpus.valid"), std::string::npos) << message;
    EXPECT_NE(message.find("corpus.holdout"), std::string::npos) << message;
  };
  const std::string text = read_file(folder_ / "train.txt");
  hold_out(text);
  refused(0);  // the same file under another name
  hold_out(text.substr(0, text.find("\n\n", text.size() / 2)));
  refused(0);    // a part of it
  refused(0.3);  // also if a share of the training text goes to tuning
  hold_out("not seen before\n\n" + text);
  settings_.corpus.tune_holdout = 0;
  EXPECT_NO_THROW(prepare(settings_)) << "one unseen document: a warning with the share";
}

}  // namespace
}  // namespace sluice::data
