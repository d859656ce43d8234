// Fixture for the tests of prepare(): a corpus of two files and a bytes tokenizer.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/signals.h"
#include "data/prepared.h"
#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"

namespace sluice::testing {

inline std::vector<std::int32_t> all_ids(const data::TokenStream& stream) {
  std::vector<std::int32_t> ids(stream.num_tokens());
  stream.read(0, ids);
  return ids;
}

// The documents of a stream of byte tokens.
inline std::vector<std::string> documents_of(const data::PreparedData& data,
                                             const data::TokenStream& stream) {
  std::vector<std::string> documents(1);
  for (const std::int32_t id : all_ids(stream)) {
    if (id == *data.tokenizer->eos()) {
      documents.emplace_back();
    } else {
      documents.back() += static_cast<char>(id);
    }
  }
  EXPECT_TRUE(documents.back().empty()) << "no separator at the end";
  documents.pop_back();
  return documents;
}

class Prepare : public ::testing::Test {
 protected:
  Prepare() {
    write_text(folder_ / "corpus/a.txt", plain_text(1, 1500));
    write_text(folder_ / "corpus/b.txt", plain_text(2, 500));
    settings_.corpus.train = {(folder_ / "corpus").string()};
    settings_.corpus.prepared_dir = (folder_ / "prepared").string();
    settings_.corpus.holdout = 0.1;
    settings_.tokenizer = text::BytesConfig{};
  }
  ~Prepare() override { clear_stop(); }
  static text::SentencePieceConfig pieces(std::int64_t vocab_size) {
    text::SentencePieceConfig config;
    config.vocab_size = vocab_size;
    return config;
  }
  TemporaryDirectory folder_;
  data::PrepareSettings settings_;
};

}  // namespace sluice::testing
