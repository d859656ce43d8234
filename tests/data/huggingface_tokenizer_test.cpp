// Preparation with the tokenizer.json of a Hugging Face model (text/huggingface_import.h).
#include <gtest/gtest.h>

#include "base/file.h"
#include "data/prepared.h"
#include "tests/data/prepare_support.h"
#include "text/huggingface_export.h"

namespace sluice::data {
namespace {

using sluice::testing::all_ids;
using sluice::testing::message_of;
using sluice::testing::plain_text;
using sluice::testing::Prepare;
using sluice::testing::write_text;

class HuggingFace : public Prepare {
 protected:
  // Trains a tokenizer and writes its tokenizer.json.
  std::string tokenizer_json(std::int64_t vocab_size) {
    const std::vector<std::string> sample{plain_text(1, 1500)};
    const auto tokenizer = text::train_sentencepiece(pieces(vocab_size), sample);
    const auto directory = folder_ / std::to_string(vocab_size);
    for (const auto& file : text::huggingface_tokenizer_files(*tokenizer, {}))
      write_text(directory / file.name, file.content);
    return (directory / "tokenizer.json").string();
  }
  PreparedData prepare_with(const std::string& path) {
    settings_.tokenizer = text::HuggingFaceConfig{.model = path};
    return prepare(settings_);
  }
};

TEST_F(HuggingFace, GivesTheIdsOfTheOriginal) {
  const std::string path = tokenizer_json(400);
  const PreparedData data = prepare_with(path);
  EXPECT_EQ(data.tokenizer->file_name(), "tokenizer.json");
  EXPECT_EQ(data.tokenizer->vocab_size(), 400);
  text::SentencePieceConfig original;
  original.model = (folder_ / "400/tokenizer.model").string();
  settings_.tokenizer = original;
  const PreparedData expected = prepare(settings_);
  EXPECT_NE(data.fingerprint, expected.fingerprint);
  for (const Split split : {Split::kTrain, Split::kValid})
    EXPECT_EQ(all_ids(data.streams[split]), all_ids(expected.streams[split]));
}

TEST_F(HuggingFace, IsIdentifiedByContent) {
  const std::string path = tokenizer_json(400), other = tokenizer_json(420);
  const PreparedData first = prepare_with(path);
  EXPECT_NE(prepare_with(other).fingerprint, first.fingerprint);
  write_text(folder_ / "moved.json", read_file(path));
  write_text(folder_ / "tokenizer_config.json", read_file(folder_ / "400/tokenizer_config.json"));
  EXPECT_EQ(prepare_with((folder_ / "moved.json").string()).fingerprint, first.fingerprint);
  write_text(folder_ / "tokenizer_config.json", R"({"eos_token": "<s>"})");
  EXPECT_NE(prepare_with((folder_ / "moved.json").string()).fingerprint, first.fingerprint);
}

TEST_F(HuggingFace, RejectsOtherFiles) {
  write_text(folder_ / "x.json", "{}");
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { prepare_with((folder_ / "x.json").string()); })
                .find("x.json: model: missing member"),
            std::string::npos);
  message_of(ExitCode::kMissingInput, [&] { prepare_with((folder_ / "y.json").string()); });
}

}  // namespace
}  // namespace sluice::data
