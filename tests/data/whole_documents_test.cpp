// Documents longer than one block have the ids of one SentencePiece library call on the whole
// document.
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <unordered_map>

#include "data/prepared.h"
#include "data/split_reader.h"
#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

using sluice::testing::plain_text;
using sluice::testing::random_text;
using sluice::testing::TemporaryDirectory;
using sluice::testing::write_text;

using Settings = std::unordered_map<std::string, std::string>;

class Sentences : public sentencepiece::SentenceIterator {
 public:
  // With `newlines`, each sentence has two lines, so that pieces may contain a newline.
  explicit Sentences(bool newlines) {
    const std::string text = plain_text(5, 600);
    std::string sentence;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find('\n', begin);
      sentence += text.substr(begin, end - begin);
      begin = end + 1;
      const bool joined = newlines && sentence.find('\n') == std::string::npos;
      if (joined) sentence += '\n';
      if (!joined) sentences_.push_back(std::exchange(sentence, {}));
    }
  }
  bool done() const override { return index_ == sentences_.size(); }
  void Next() override { ++index_; }
  const std::string& value() const override { return sentences_[index_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::vector<std::string> sentences_;
  std::size_t index_ = 0;
};

struct Variant {
  const char* name;
  Settings settings;
  bool newlines = false;
};

std::string trained(const Variant& variant, const std::string& type) {
  Settings settings = {{"model_type", type},
                       {"vocab_size", "380"},
                       {"minloglevel", "3"},
                       {"hard_vocab_limit", "false"},
                       {"num_threads", "1"}};
  for (const auto& [key, value] : variant.settings) settings[key] = value;
  Sentences sentences(variant.newlines);
  std::string serialized;
  const auto status = sentencepiece::SentencePieceTrainer::Train(settings, &sentences, &serialized);
  EXPECT_TRUE(status.ok()) << variant.name << ": " << status.message();
  return serialized;
}

// Settings used by other projects, including Llama, Gemma and T5.
std::vector<Variant> variants() {
  const Settings identity = {{"normalization_rule_name", "identity"},
                             {"add_dummy_prefix", "false"},
                             {"remove_extra_whitespaces", "false"},
                             {"byte_fallback", "true"}};
  const auto with = [](Settings settings, const Settings& more) {
    for (const auto& [key, value] : more) settings[key] = value;
    return settings;
  };
  return {
      {"library defaults", {}},
      {"nfkc_cf", {{"normalization_rule_name", "nfkc_cf"}, {"remove_extra_whitespaces", "false"}}},
      {"identity", identity},
      {"without bytes", with(identity, {{"byte_fallback", "false"}})},
      {"dummy prefix", with(identity, {{"add_dummy_prefix", "true"}})},
      {"dummy prefix, blanks collapsed",
       with(identity, {{"add_dummy_prefix", "true"}, {"remove_extra_whitespaces", "true"}})},
      {"blank as suffix",
       with(identity, {{"add_dummy_prefix", "true"}, {"treat_whitespace_as_suffix", "true"}})},
      {"across blanks", with(identity, {{"split_by_whitespace", "false"}})},
      {"across newlines", with(identity, {{"add_dummy_prefix", "true"}}), true},
      {"across newlines, normalized", {{"normalization_rule_name", "nfkc"}}, true},
      {"user-defined", with(identity, {{"user_defined_symbols", "\n,\n\n,\n\n\n,ta\nri,a b,  ,.\n"},
                                       {"add_dummy_prefix", "true"}})}};
}

// Documents of at least three blocks, each with a different kind of cut position.
std::vector<std::string> documents() {
  std::mt19937_64 random(3);
  std::string lines = plain_text(7, 4500), one_line = lines, no_blanks, blanks, line_ends;
  std::replace(one_line.begin(), one_line.end(), '\n', ' ');
  for (const char c : lines) {
    if (c != ' ' && c != '\n') no_blanks += c;
  }
  while (blanks.size() < 150'000) blanks += "  " + plain_text(blanks.size(), 1) + "   \n \n";
  while (line_ends.size() < 150'000)
    line_ends += (line_ends.size() % 3 == 0 ? "ta\nri.\n\n\n" : "\n\n\xE2\x96\x81x\n\xE2\x96\x81");
  std::string odd = random_text(random, 90'000);
  std::erase_if(odd, [](char c) { return c == '\0' || c == '\r'; });  // removed by the reader
  return {lines, one_line, no_blanks, blanks, line_ends, odd};
}

std::vector<std::int32_t> one_call(const std::string& serialized, const std::string& text) {
  sentencepiece::SentencePieceProcessor processor;
  EXPECT_TRUE(processor.LoadFromSerializedProto(serialized).ok());
  std::vector<int> ids;
  EXPECT_TRUE(processor.Encode(text, &ids).ok());
  return {ids.begin(), ids.end()};
}

class WholeDocuments : public ::testing::TestWithParam<std::string> {
 protected:
  std::vector<std::int32_t> as_read(const text::Tokenizer& tokenizer, const std::string& text) {
    write_text(folder_ / "text.txt", text);
    text::CorpusConfig corpus;
    corpus.format = text::Format::kText;
    corpus.nul_bytes = corpus.byte_order_mark = text::Policy::kError;
    corpus.separator = text::Separator::kNone;
    const EncodedText encoded =
        encode_files({(folder_ / "text.txt").string()}, corpus, tokenizer, 2);
    std::vector<std::int32_t> ids(encoded.stream.num_tokens());
    encoded.stream.read(0, ids);
    return ids;
  }
  TemporaryDirectory folder_;
};

TEST_P(WholeDocuments, MatchOneLibraryCall) {
  for (const Variant& variant : variants()) {
    const std::string serialized = trained(variant, GetParam());
    const auto tokenizer = text::parse_tokenizer(serialized, "model");
    int index = 0;
    for (const std::string& text : documents()) {
      EXPECT_GT(text.size(), 2 * text::kMaxBlockBytes);
      const auto ids = as_read(*tokenizer, text), expected = one_call(serialized, text);
      EXPECT_TRUE(ids == expected) << variant.name << ", document " << index << ": " << ids.size()
                                   << " ids, not " << expected.size();
      ++index;
    }
  }
}

std::vector<std::int32_t> ids_of_items(const text::Tokenizer& tokenizer,
                                       const std::vector<SplitItem>& items) {
  std::vector<std::int32_t> ids;
  for (const SplitItem& item : items) {
    if (item.continues) {
      tokenizer.encode_continuation(item.text, ids);
    } else {
      tokenizer.encode(item.text, ids);
    }
  }
  return ids;
}

class SplitItems : public ::testing::Test {
 protected:
  // The items of a split with the blocks (numbered from 1) that `takes` accepts.
  std::vector<SplitItem> read(const std::string& text, const text::Tokenizer* tokenizer,
                              const std::function<bool(int)>& takes,
                              const SplitPosition& start = {}) {
    if (text != written_) write_text(folder_ / "text.txt", text);
    written_ = text;
    text::CorpusConfig corpus;
    corpus.format = text::Format::kText;
    int number = 0;
    chosen_.clear();
    const auto select = [&](std::string_view block, const std::filesystem::path&, std::uint64_t) {
      const bool taken = takes(++number);
      if (taken) chosen_ += block;
      return taken;
    };
    faults_ = {};
    std::vector<SplitItem> items;
    read_split({.files = {folder_ / "text.txt"},
                .corpus = corpus,
                .select = select,
                .start = start,
                .tokenizer = tokenizer},
               faults_, [&](SplitItem item) { items.push_back(std::move(item)); });
    return items;
  }
  std::uint64_t num_uncertain_cuts() { return faults_.faults[std::string(kUncertainCuts)].count; }

  TemporaryDirectory folder_;
  std::string written_, chosen_;
  text::FaultReport faults_;
};

// Blocks of other splits leave gaps; the remaining text is encoded as one text.
TEST_F(SplitItems, DocumentWithGapsIsEncodedAsOneText) {
  const std::string text = plain_text(7, 7000);
  for (const std::size_t index : {0U, 4U, 5U}) {
    const std::string serialized = trained(variants()[index], "bpe");
    const auto tokenizer = text::parse_tokenizer(serialized, "model");
    const auto items = read(text, tokenizer.get(), [](int number) { return number % 2 == 1; });
    EXPECT_LT(chosen_.size(), text.size());
    EXPECT_TRUE(ids_of_items(*tokenizer, items) == one_call(serialized, chosen_)) << index;
    EXPECT_EQ(num_uncertain_cuts(), 0U);
  }
}

TEST_F(SplitItems, ResumeFromEveryPosition) {
  const auto tokenizer = text::parse_tokenizer(trained(variants()[0], "unigram"), "model");
  const std::string text = plain_text(7, 7000);
  const text::Tokenizer* const none = nullptr;
  for (const text::Tokenizer* joining :
       {none, static_cast<const text::Tokenizer*>(tokenizer.get())}) {
    const auto some = [](int number) { return number != 2; };
    const auto whole = read(text, joining, some);
    EXPECT_EQ(whole.size(), joining != nullptr ? 2U : 5U);
    for (std::size_t done = 0; done <= whole.size(); ++done) {
      SplitPosition start;
      if (done > 0)
        start = {.num_blocks = whole[done - 1].num_blocks,
                 .inside_document = !whole[done - 1].ends_document};
      const auto rest = read(text, joining, some, start);
      ASSERT_EQ(rest.size(), whole.size() - done);
      for (std::size_t i = 0; i < rest.size(); ++i) {
        EXPECT_EQ(rest[i].text, whole[done + i].text);
        EXPECT_EQ(rest[i].num_blocks, whole[done + i].num_blocks);
        EXPECT_EQ(rest[i].continues, whole[done + i].continues);
        EXPECT_EQ(rest[i].ends_document, whole[done + i].ends_document);
      }
    }
  }
}

// Models trained by Sluice encode a long document block by block, as in earlier versions.
TEST_F(SplitItems, ModelsTrainedHereEncodeBlocks) {
  for (const text::Algorithm algorithm : {text::Algorithm::kBpe, text::Algorithm::kUnigram}) {
    const std::vector<std::string> sample = {plain_text(5, 600)};
    const auto tokenizer =
        text::train_sentencepiece({.algorithm = algorithm, .vocab_size = 380, .model = {}}, sample);
    EXPECT_FALSE(tokenizer->joins_blocks());
    EXPECT_TRUE(tokenizer->lossless());
    const std::vector<std::string> texts = documents();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto all = [](int) { return true; };
      const auto blocks = read(texts[i], nullptr, all),
                 items = read(texts[i], tokenizer.get(), all);
      std::vector<std::int32_t> ids;
      for (const SplitItem& block : blocks) tokenizer->encode(block.text, ids);
      EXPECT_TRUE(ids_of_items(*tokenizer, items) == ids);
      EXPECT_EQ(tokenizer->decode(ids) == texts[i],
                texts[i].find("\xE2\x96\x81") == std::string::npos);
      // Unigram scores are summed over all preceding text; BPE has no merges across newlines or
      // before blanks.
      const bool inside_words = i == 2;
      const std::uint64_t num_cuts = blocks.size() - 2;
      EXPECT_EQ(num_uncertain_cuts(),
                algorithm == text::Algorithm::kUnigram || inside_words ? num_cuts : 0)
          << i;
      if (algorithm == text::Algorithm::kBpe && !inside_words) {
        EXPECT_TRUE(ids == one_call(tokenizer->serialized(), texts[i])) << i;
      }
    }
  }
}

// To bound memory, documents above 16 MiB are cut anyway, and the cuts are counted.
TEST_F(SplitItems, CutsAboveTheLimitAreCountedAndDecodeUnchanged) {
  std::string text;
  while (text.size() <= 2 * kMaxJoinedBytes)
    text += "some words of a line that is as good as any other line of this text\n";
  const auto normalizing = text::parse_tokenizer(trained(variants()[0], "unigram"), "model");
  const auto items = read(text, normalizing.get(), [](int) { return true; });
  EXPECT_EQ(num_uncertain_cuts(), 2U);
  ASSERT_EQ(items.size(), 4U);
  for (const SplitItem& item : items) EXPECT_LE(item.text.size(), kMaxJoinedBytes);
  EXPECT_EQ(items[0].text + items[1].text + items[2].text, text);

  // A document has only one dummy prefix, however often it is cut.
  const auto prefixing = text::parse_tokenizer(trained(variants()[4], "unigram"), "model");
  EXPECT_TRUE(prefixing->lossless());
  std::vector<std::int32_t> ids;
  prefixing->encode("one two", ids);
  prefixing->encode_continuation("three", ids);
  EXPECT_EQ(prefixing->decode(ids), "one twothree");
}

INSTANTIATE_TEST_SUITE_P(Algorithms, WholeDocuments, ::testing::Values("bpe", "unigram"));

}  // namespace
}  // namespace sluice::data
