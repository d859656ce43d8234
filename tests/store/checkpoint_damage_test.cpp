// Damaged checkpoints are detected and reported with the name of the file.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tests/store/checkpoint_support.h"

namespace sluice::store {
namespace {

std::string damage_of(const fs::path& checkpoint) {
  return error_of(ExitCode::kBadData, [&] { verify_checkpoint(checkpoint); });
}

TEST_F(CheckpointStoreTest, DetectsTenThousandFlippedBits) {
  save(1);
  save(2);
  std::vector<std::pair<fs::path, std::uint64_t>> files;
  std::uint64_t total_bits = 0;
  for (const auto& [name, content] : content_of_tree(at(2))) {
    files.emplace_back(at(2) / name, total_bits += 8 * content.size());
  }
  std::mt19937_64 random(1);
  int num_detected = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::uint64_t bit = random() % total_bits;
    const auto file =
        std::find_if(files.begin(), files.end(), [&](const auto& f) { return bit < f.second; });
    bit -= file == files.begin() ? 0 : std::prev(file)->second;
    const int descriptor = ::open(file->first.c_str(), O_RDWR);
    char byte = 0;
    const auto offset = static_cast<::off_t>(bit / 8);
    ASSERT_EQ(::pread(descriptor, &byte, 1, offset), 1);
    const char flipped = static_cast<char>(byte ^ (1 << bit % 8));
    ASSERT_EQ(::pwrite(descriptor, &flipped, 1, offset), 1);
    std::vector<DamagedCheckpoint> damaged;
    const std::optional<Checkpoint> found = store_.newest_valid(&damaged);
    num_detected += found && found->manifest.step == 1 && damaged.size() == 1;
    ASSERT_EQ(::pwrite(descriptor, &byte, 1, offset), 1);
    ::close(descriptor);
  }
  EXPECT_EQ(num_detected, 10'000);
  EXPECT_EQ(newest(), 2);
}

TEST_F(CheckpointStoreTest, DetectsEveryTruncation) {
  save(1);
  for (const auto& [name, content] : content_of_tree(at(1))) {
    for (std::size_t size = 0; size < content.size(); size += 4096) {
      fs::resize_file(at(1) / name, size);
      EXPECT_NE(damage_of(at(1)).find(name), std::string::npos);
    }
    if (!content.empty()) {
      fs::resize_file(at(1) / name, content.size() - 1);
      damage_of(at(1));
    }
    write_text(at(1) / name, content);
    verify_checkpoint(at(1));
  }
}

TEST_F(CheckpointStoreTest, NamesMissingFiles) {
  save(1);
  for (const auto& [name, content] : content_of_tree(at(1))) {
    fs::remove(at(1) / name);
    const std::string message = damage_of(at(1));
    EXPECT_NE(message.find(name + ": missing"), std::string::npos) << message;
    write_text(at(1) / name, content);
  }
}

TEST_F(CheckpointStoreTest, NamesExtraEntries) {
  save(1);
  const std::vector<std::pair<std::string, std::function<void(const fs::path&)>>> extras = {
      {"file", [](const fs::path& p) { write_text(p, "x"); }},
      {"directory", [](const fs::path& p) { fs::create_directory(p); }},
      {"link", [](const fs::path& p) { fs::create_symlink("model.safetensors", p); }},
      {"pipe", [](const fs::path& p) { ASSERT_EQ(::mkfifo(p.c_str(), 0600), 0); }},
  };
  for (const auto& [name, create] : extras) {
    create(at(1) / name);
    const std::string message = damage_of(at(1));
    EXPECT_NE(message.find(name), std::string::npos) << message;
    fs::remove(at(1) / name);
  }
  fs::remove(at(1) / "config.yaml");
  // In place of an empty file; opening it would block.
  ASSERT_EQ(::mkfifo((at(1) / "config.yaml").c_str(), 0600), 0);
  EXPECT_NE(damage_of(at(1)).find("not a regular file"), std::string::npos);
}

TEST_F(CheckpointStoreTest, DetectsSwappedFilesAndCheckpoints) {
  const auto same_size = [](char c) {
    return std::vector{text_file("a", std::string(9, c)),
                       text_file("b", std::string(9, static_cast<char>(c + 1)))};
  };
  store_.save(1, same_size('a'));
  store_.save(2, same_size('c'));
  const auto swap = [&](const fs::path& a, const fs::path& b) {
    fs::rename(a, scratch_ / "aside");
    fs::rename(b, a);
    fs::rename(scratch_ / "aside", b);
  };
  swap(at(2) / "a", at(2) / "b");
  EXPECT_EQ(newest(1), 1);
  swap(at(2) / "a", at(2) / "b");
  swap(at(2) / "a", at(1) / "a");
  EXPECT_EQ(newest(2), -1);
  swap(at(2) / "a", at(1) / "a");
  swap(at(2) / "manifest.json", at(1) / "manifest.json");
  EXPECT_EQ(newest(2), -1);
  swap(at(2) / "manifest.json", at(1) / "manifest.json");
  swap(at(2), at(1));
  EXPECT_EQ(newest(2), -1);
  EXPECT_NE(damage_of(at(2)).find(
                "manifest.json: step: received 1; expected 2, as in the directory name"),
            std::string::npos);
}

TEST_F(CheckpointStoreTest, CopyUnderAnotherNameVerifies) {
  save(4);
  fs::copy(at(4), scratch_ / "my-model");
  EXPECT_EQ(verify_checkpoint(scratch_ / "my-model").step, 4);
  EXPECT_EQ(verify_checkpoint(at(4).string() + "/").step, 4);
  fs::create_directory_symlink(at(4), scratch_ / "latest");
  EXPECT_EQ(verify_checkpoint(scratch_ / "latest").step, 4);
}

TEST_F(CheckpointStoreTest, UnexpectedEntriesAreDamage) {
  save(1);
  write_text(directory_ / "step-9", "a file");
  fs::create_directory_symlink("nowhere", directory_ / "step-8");
  fs::create_directory(directory_ / "step-7");
  EXPECT_EQ(newest(3), 1);
}

}  // namespace
}  // namespace sluice::store
