#include "text/huggingface_import.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <thread>

#include "tests/text/text_support.h"
#include "text/byte_level.h"
#include "text/huggingface_export.h"

namespace sluice::text {
namespace {

using sluice::testing::message_of;
using sluice::testing::plain_text;
using sluice::testing::random_text;
using Ids = std::vector<std::int32_t>;
using Json = nlohmann::json;

// Bytes 0-255, "ab" 256, "abc" 257, "</s>" 258, the added token "<sep>" 259.
Json byte_level_json() {
  Json vocab;
  for (int byte = 0; byte < 256; ++byte)
    vocab[byte_level_character(static_cast<unsigned char>(byte))] = byte;
  vocab["ab"] = 256;
  vocab["abc"] = 257;
  const Json byte_level{{"type", "ByteLevel"}, {"add_prefix_space", false}};
  return {{"added_tokens",
           {{{"id", 258}, {"content", "</s>"}, {"special", true}},
            {{"id", 259}, {"content", "<sep>"}, {"special", false}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"decoder", byte_level},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"a b", "ab c"}}}}};
}

Json unigram_json() {
  return {{"added_tokens", {{{"id", 0}, {"content", "<unk>"}, {"special", true}}}},
          {"pre_tokenizer", {{"type", "Metaspace"}}},
          {"decoder", {{"type", "Metaspace"}}},
          {"model",
           {{"type", "Unigram"},
            {"unk_id", 0},
            {"vocab", Json::parse("[[\"<unk>\", 0], [\"\xE2\x96\x81\", -2], [\"a\", -3], "
                                  "[\"b\", -3], [\"ab\", -5]]")}}}};
}

std::unique_ptr<Tokenizer> import_json(const Json& json, std::string_view config = "") {
  return import_huggingface_tokenizer(json.dump(), config, "t.json").tokenizer;
}

Ids encode(const Tokenizer& tokenizer, std::string_view text) {
  Ids ids;
  tokenizer.encode(text, ids);
  return ids;
}

TEST(HuggingFaceImport, EncodesByHand) {
  const auto tokenizer = import_json(byte_level_json());
  EXPECT_EQ(encode(*tokenizer, "abcab a"), (Ids{257, 256, ' ', 'a'}));
  EXPECT_EQ(encode(*tokenizer, "a<sep>b"), (Ids{'a', 259, 'b'}));
  EXPECT_EQ(encode(*tokenizer, "</s>"), (Ids{'<', '/', 's', '>'}));
  EXPECT_EQ(encode(*tokenizer, ""), Ids{});
  EXPECT_EQ(tokenizer->decode(Ids{257, 258, 259, 256}), "abc<sep>ab");
  EXPECT_EQ(tokenizer->decode(Ids{0xE2, 0x96}), "\xEF\xBF\xBD");
  EXPECT_EQ(tokenizer->vocab_size(), 260);
  EXPECT_EQ(tokenizer->eos(), 258);
  EXPECT_EQ(tokenizer->unk(), std::nullopt);
  EXPECT_TRUE(tokenizer->lossless());
}

TEST(HuggingFaceImport, TakesTheHighestSumOfScores) {
  const auto tokenizer = import_json(unigram_json());
  EXPECT_EQ(encode(*tokenizer, "ab"), (Ids{1, 4}));  // -5 is more than -6
  EXPECT_EQ(encode(*tokenizer, "xyab"), (Ids{1, 0, 4}));
  EXPECT_EQ(tokenizer->decode(Ids{1, 4, 1, 2}), "ab a");
  EXPECT_EQ(tokenizer->unk(), 0);
  EXPECT_FALSE(tokenizer->lossless());
}

TEST(HuggingFaceImport, ContinuationsHaveNoPrefix) {
  const auto tokenizer = import_json(unigram_json());
  Ids ids;
  tokenizer->encode_continuation("ab", ids);
  EXPECT_EQ(ids, (Ids{4}));
}

TEST(HuggingFaceImport, TakesRolesFromTheConfiguration) {
  const auto tokenizer =
      import_json(byte_level_json(), R"({"eos_token": {"content": "ab"}, "pad_token": "</s>"})");
  EXPECT_EQ(tokenizer->eos(), 256);
  EXPECT_EQ(tokenizer->pad(), 258);
  EXPECT_EQ(import_json(byte_level_json(), "{}")->eos(), std::nullopt);
  EXPECT_NE(message_of(ExitCode::kBadData,
                       [] { import_json(byte_level_json(), R"({"eos_token": "xyz"})"); })
                .find("t.json: tokenizer_config.json: eos_token: received `\"xyz\"`; expected a "
                      "token of tokenizer.json"),
            std::string::npos);
}

TEST(HuggingFaceImport, SerializedFormGivesTheSameTokenizer) {
  const auto tokenizer = import_json(byte_level_json());
  const auto again = parse_tokenizer(tokenizer->serialized(), "again");
  EXPECT_EQ(again->serialized(), tokenizer->serialized());
  EXPECT_EQ(again->file_name(), "tokenizer.json");
  std::mt19937_64 random(1);
  for (int i = 0; i < 50; ++i) {
    const std::string text = random_text(random, 60);
    EXPECT_EQ(encode(*again, text), encode(*tokenizer, text));
    EXPECT_EQ(tokenizer->decode(encode(*tokenizer, text)), text);
  }
}

TEST(HuggingFaceImport, ThreadsGetTheSameIds) {
  const auto tokenizer = import_json(byte_level_json());
  const std::string text = plain_text(3, 300);
  const Ids expected = encode(*tokenizer, text);
  std::vector<Ids> received(4);
  std::vector<std::thread> threads;
  for (Ids& ids : received) threads.emplace_back([&] { ids = encode(*tokenizer, text); });
  for (auto& thread : threads) thread.join();
  for (const Ids& ids : received) EXPECT_EQ(ids, expected);
}

TEST(HuggingFaceImport, RemovesSentinels) {
  Json json = byte_level_json();
  for (int i = 0; i < 3; ++i)
    json["added_tokens"].push_back({{"id", 260 + i},
                                    {"content", "<extra_id_" + std::to_string(2 - i) + ">"},
                                    {"special", true}});
  const auto imported = import_huggingface_tokenizer(json.dump(), "", "t.json");
  EXPECT_EQ(imported.num_sentinels, 3);
  EXPECT_EQ(imported.tokenizer->vocab_size(), 260);
  EXPECT_EQ(imported.tokenizer->serialized(), import_json(byte_level_json())->serialized());
}

struct Fault {
  const char* name;
  std::function<void(Json&)> make;
  const char* message;
};

TEST(HuggingFaceImport, NamesTheFieldOfAFault) {
  const Fault faults[] = {
      {"no model", [](Json& j) { j.erase("model"); }, "t.json: model: missing member"},
      {"model type", [](Json& j) { j["model"]["type"] = "WordPiece"; },
       "model.type: received `\"WordPiece\"`; expected BPE or Unigram"},
      {"normalizer",
       [](Json& j) {
         j["normalizer"] = {{"type", "Lowercase"}};
       },
       "normalizer.type: received `\"Lowercase\"`"},
      {"pre_tokenizer",
       [](Json& j) {
         j["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
       },
       "pre_tokenizer.type: received `\"BertPreTokenizer\"`"},
      {"decoder",
       [](Json& j) {
         j["decoder"] = {{"type", "CTC"}};
       },
       "decoder.type: received"},
      {"negative id", [](Json& j) { j["model"]["vocab"]["ab"] = -1; },
       "expected a whole number from 0 to 4194303"},
      {"huge id", [](Json& j) { j["model"]["vocab"]["ab"] = 4e18; }, "expected a whole number"},
      {"same id", [](Json& j) { j["model"]["vocab"]["ab"] = 257; }, "distinct ids"},
      {"unknown merge", [](Json& j) { j["model"]["merges"][1] = "ab d"; },
       "model.merges[1]: received `\"ab d\"`"},
      {"merge of three", [](Json& j) { j["model"]["merges"][0] = "a b c"; },
       "model.merges[0]: received `\"a b c\"`; expected two tokens"},
      {"dropout", [](Json& j) { j["model"]["dropout"] = 0.1; }, "model.dropout: received `0.1`"},
      {"suffix", [](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; },
       "model.end_of_word_suffix: received"},
      {"unknown token", [](Json& j) { j["model"]["unk_token"] = "?!"; }, "model.unk_token"},
      {"lstrip", [](Json& j) { j["added_tokens"][1]["lstrip"] = true; },
       "added_tokens[1].lstrip: received `true`"},
      {"stolen id", [](Json& j) { j["added_tokens"][1]["id"] = 256; },
       "added_tokens: received `<sep>` with id 256 of `ab`"},
      {"regular expression",
       [](Json& j) {
         j["pre_tokenizer"] = {
             {"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}};
       },
       "pre_tokenizer.pattern.Regex: received `(a` (end pattern with unmatched parenthesis)"},
      {"base64",
       [](Json& j) {
         j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "!"}};
       },
       "normalizer.precompiled_charsmap: received invalid base64"},
      {"table",
       [](Json& j) {
         j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "/////wAA"}};
       },
       "normalizer.precompiled_charsmap: received a wrong size"},
  };
  for (const Fault& fault : faults) {
    Json json = byte_level_json();
    fault.make(json);
    const std::string message = message_of(ExitCode::kBadData, [&] { import_json(json); });
    EXPECT_NE(message.find(fault.message), std::string::npos) << fault.name << ": " << message;
  }
  Json unigram = unigram_json();
  unigram["model"]["unk_id"] = 5;
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { import_json(unigram); }).find("model.unk_id"),
            std::string::npos);
}

TEST(HuggingFaceImport, RejectsWhatIsNotATokenizer) {
  const auto message = [](std::string_view content) {
    return message_of(ExitCode::kBadData,
                      [&] { import_huggingface_tokenizer(content, "", "t.json"); });
  };
  EXPECT_NE(message("").find("t.json"), std::string::npos);
  EXPECT_NE(message("[]").find("expected a JSON object"), std::string::npos);
  EXPECT_NE(message("{}").find("model: missing member"), std::string::npos);
  EXPECT_NE(message(std::string(100'000, '[')).find("nested"), std::string::npos);
  EXPECT_NE(message("{\"a\": \"\xFF\"}").find("a valid JSON object"), std::string::npos);
}

TEST(HuggingFaceImport, StopsExponentialBacktracking) {
  Json json = byte_level_json();
  json["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "(a|aa)+$"}}}, {"behavior", "Isolated"}};
  json.erase("decoder");
  const auto tokenizer = import_json(json);
  const std::string text = std::string(60, 'a') + "b";
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { encode(*tokenizer, text); })
                .find("expected a regular expression that can be matched quickly"),
            std::string::npos);
}

TEST(HuggingFaceImport, LimitsWhatAPipelineProduces) {
  const Json twice{{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
  Json json = byte_level_json();
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", Json::array_t(40, twice)}};
  const auto grows = import_json(json);
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { encode(*grows, "a"); }).find("normalizer"),
            std::string::npos);
  json["normalizer"]["normalizers"] = Json::array_t(65, twice);
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { import_json(json); })
                .find("expected at most 64 normalizers"),
            std::string::npos);
  json = byte_level_json();
  json["decoder"] = {{"type", "Sequence"}, {"decoders", Json::array_t(40, twice)}};
  const auto decodes = import_json(json);
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { decodes->decode(Ids{'a'}); }).find("decoder"),
            std::string::npos);
  json["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers", Json::array_t(2, json["pre_tokenizer"])}};
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { import_json(json); }).find("ByteLevel only once"),
            std::string::npos);
}

TEST(HuggingFaceImport, ReplacesInvalidUtf8) {
  const auto tokenizer = import_json(byte_level_json());
  EXPECT_EQ(tokenizer->decode(encode(*tokenizer, "a\xE2\x96")), "a\xEF\xBF\xBD");
}

// Damaged files are rejected or give a tokenizer that works.
TEST(HuggingFaceImport, SurvivesDamagedFiles) {
  std::mt19937_64 random(7);
  for (const Json& json : {byte_level_json(), unigram_json()}) {
    const std::string intact = json.dump();
    int accepted = 0;
    for (int round = 0; round < 400; ++round) {
      std::string damaged = intact;
      for (int i = 0; i < 2; ++i)
        damaged[random() % damaged.size()] = static_cast<char>(' ' + random() % 95);
      try {
        const auto imported = import_huggingface_tokenizer(damaged, "", "t.json");
        imported.tokenizer->decode(encode(*imported.tokenizer, "abc \xC3\xA9<sep> a\n"));
        ++accepted;
      } catch (const UserError& error) {
        EXPECT_EQ(error.code(), ExitCode::kBadData) << error.what();
      }
    }
    EXPECT_GT(accepted, 0);
    EXPECT_LT(accepted, 400);
  }
}

}  // namespace
}  // namespace sluice::text
