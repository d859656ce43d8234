#include "text/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "text/utf8.h"

namespace sluice::text {
namespace {

using Outcome = JsonText::Outcome;

TEST(JsonText, FindsTheMember) {
  const auto text_of = [](std::string_view line, std::string_view field) {
    const JsonText json = json_text(line, field);
    EXPECT_EQ(json.outcome, Outcome::kFound) << line << ": " << json.what;
    EXPECT_EQ(json.num_lone_surrogates, 0U);
    return json.text;
  };
  EXPECT_EQ(text_of(R"({"text": "a b"})", "text"), "a b");
  EXPECT_EQ(text_of(R"( {"id": 7, "x": {"text": "no"}, "list": ["text", {"text": 1}], )"
                    R"("text": "yes", "z": null} )",
                    "text"),
            "yes");
  EXPECT_EQ(text_of(R"({"body": "\u00e9\n\ud83d\ude00\u0000"})", "body"),
            std::string("\xC3\xA9\n\xF0\x9F\x98\x80\0", 8));
  EXPECT_EQ(text_of(R"({"b\u006fdy": "\"\\\/\b\f\r\t"})", "body"), "\"\\/\b\f\r\t");
  EXPECT_EQ(text_of(R"({"text": ""})", "text"), "");
}

TEST(JsonText, ReturnsTheLastOfDuplicateMembers) {
  EXPECT_EQ(json_text(R"({"text": "first", "text": "second"})", "text").text, "second");
  EXPECT_EQ(json_text(R"({"text": "first", "text": 5})", "text").outcome, Outcome::kNotString);
  EXPECT_EQ(json_text(R"({"text": 5, "text": "second"})", "text").text, "second");
}

TEST(JsonText, ReportsOtherFieldsAndTypes) {
  const JsonText missing = json_text(
      R"({"id": 1, "content": "a", "tags": ["b"], "meta": {}, "ok": true, "none": null})", "text");
  ASSERT_EQ(missing.outcome, Outcome::kMissing);
  std::string fields;
  for (const JsonText::Field& field : missing.fields)
    fields += field.name + " is " + std::string(field.type) + "; ";
  EXPECT_EQ(
      fields,
      "id is a number; content is a string; tags is a list; meta is an object; ok is a boolean; "
      "none is null; ");
  std::string many = R"({"0": 0)";
  for (int i = 1; i < 20; ++i) many += ", \"" + std::to_string(i) + "\": 0";
  EXPECT_EQ(json_text(many + "}", "text").fields.size(), kMaxJsonFields);
  EXPECT_EQ(json_text(many + "}", "text").num_fields, 20U);
  EXPECT_EQ(json_text("{}", "text").outcome, Outcome::kMissing);

  for (const auto& [value, type] : {std::pair{"1", "a number"},
                                    {"null", "null"},
                                    {"[\"a\"]", "a list"},
                                    {"{\"text\": \"a\"}", "an object"},
                                    {"true", "a boolean"},
                                    {"NaN", "a number"}}) {
    const JsonText json = json_text(std::string("{\"text\": ") + value + "}", "text");
    EXPECT_EQ(json.outcome, Outcome::kNotString) << value;
    EXPECT_EQ(json.what, type);
    EXPECT_EQ(json.offset, 9U);
  }
  for (const auto& [line, type] : {std::pair{"null", "null"},
                                   {"\"text\"", "a string"},
                                   {"[]", "a list"},
                                   {"[{\"text\": \"a\"}]", "a list"},
                                   {"-1.5e3", "a number"}}) {
    EXPECT_EQ(json_text(line, "text").outcome, Outcome::kNotObject) << line;
    EXPECT_EQ(json_text(line, "text").what, type);
  }
}

TEST(JsonText, AcceptsPythonExtensions) {
  EXPECT_EQ(
      json_text(
          R"({"score": NaN, "low": -Infinity, "list": [Infinity, NaN], "text": "a", "big": 1e999})",
          "text")
          .text,
      "a");
  for (const char* line : {R"({"score": nan, "text": "a"})", R"({"score": -NaN, "text": "a"})",
                           R"({"score": Nan, "text": "a"})", R"({"score": Infinit, "text": "a"})",
                           R"({"score": NaNa, "text": "a"})"}) {
    const JsonText json = json_text(line, "text");
    EXPECT_EQ(json.outcome, Outcome::kInvalid) << line;
    EXPECT_GE(json.offset, 10U);
    EXPECT_LE(json.offset, 13U + 5U);
  }
}

TEST(JsonText, CountsLoneSurrogates) {
  constexpr std::string_view kMark = kReplacementCharacter;
  const auto expect = [](std::string_view value, const std::string& text, std::uint64_t count,
                         std::size_t offset) {
    const JsonText json =
        json_text("{\"x\": \"\\ud800\", \"text\": \"" + std::string(value) + "\"}", "text");
    EXPECT_EQ(json.outcome, Outcome::kFound) << value;
    EXPECT_EQ(json.text, text);
    EXPECT_EQ(json.num_lone_surrogates, count);
    if (count > 0) {
      EXPECT_EQ(json.offset, 25 + offset) << value;
    }
  };
  const std::string mark(kMark);
  expect(R"(a\ud83d)", "a" + mark, 1, 1);
  expect(R"(\ude00b)", mark + "b", 1, 0);
  expect(R"(\ud83d\ud83d\ude00)", mark + "\xF0\x9F\x98\x80", 1, 0);
  expect(R"(\ud83d\u0041\uDFFFx)", mark + "A" + mark + "x", 2, 0);
  expect(R"(\ud83dx\n\ufffd)", mark + "x\n" + mark, 1, 0);
  expect(R"(\ud83d\ude00\ufffd)", "\xF0\x9F\x98\x80" + mark, 0, 0);
}

TEST(JsonText, ReportsThePositionOfAFault) {
  const auto position = [](std::string_view line) {
    const JsonText json = json_text(line, "text");
    EXPECT_EQ(json.outcome, Outcome::kInvalid) << line;
    EXPECT_FALSE(json.what.empty());
    return json.offset;
  };
  EXPECT_EQ(position(""), 0U);
  EXPECT_EQ(position("x"), 0U);
  EXPECT_EQ(position(R"({"text": "a")"), 12U);
  EXPECT_EQ(position(R"({"text": "a)"), 11U);
  EXPECT_EQ(position(R"({"text": "a"} x)"), 14U);
  EXPECT_EQ(position(R"({"text": "a"}{"text": "b"})"), 13U);
  EXPECT_EQ(position(R"({'text': 'a'})"), 1U);
  EXPECT_EQ(position(R"({"text": "a",})"), 13U);
  EXPECT_EQ(position(R"({"a": 01, "text": "a"})"), 7U);
  EXPECT_EQ(position(R"({"text": "a\qb"})"), 12U);
  EXPECT_EQ(position(R"({"text": "\u12g4"})"), 11U);
  EXPECT_EQ(position("{\"text\": \"a\tb\"}"), 11U);
}

TEST(JsonText, DepthIsBounded) {
  const auto nested = [](int depth) {
    return R"({"x": )" + std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']') + R"(, "text": "a"})";
  };
  EXPECT_EQ(json_text(nested(90), "text").text, "a");
  EXPECT_EQ(json_text(nested(200), "text").outcome, Outcome::kInvalid);
  EXPECT_EQ(json_text(std::string(10'000'000, '['), "text").outcome, Outcome::kInvalid);
  EXPECT_EQ(json_text("{\"x\":" + std::string(10'000'000, '['), "text").outcome, Outcome::kInvalid);
}

// Compared with nlohmann::json on JSON lines with a few modified bytes.
TEST(JsonText, AgreesWithAnotherParserOnMutatedLines) {
  std::mt19937_64 random(1);
  const std::string lines[] = {R"({"text": "a\u00e9\\b", "n": [1, -2.5e+3, 0, true, false, null], )"
                               R"("o": {"text": "x", "": []}})",
                               R"( {"id": 12e5, "list": [[], {}, [{"a": 0.5}]], )"
                               R"("text": "\ud83d\ude00 \/ \"", "text": "z"} )"};
  constexpr std::string_view kBytes = "{}[]\",:\\ 0123eE+-.tfnux/";
  int num_valid = 0;
  for (int i = 0; i < 60'000; ++i) {
    std::string line = lines[i % 2];
    for (std::uint64_t changes = random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % line.size();
      const char byte = kBytes[random() % kBytes.size()];
      if (random() % 3 == 0) {
        line.erase(at, 1);
      } else if (random() % 2 == 0) {
        line.insert(at, 1, byte);
      } else {
        line[at] = byte;
      }
    }
    const nlohmann::json other = nlohmann::json::parse(line, nullptr, false);
    const JsonText json = json_text(line, "text");
    if (other.is_discarded()) {
      // nlohmann::json rejects lone surrogates and numbers above the range of a double.
      const bool accepted_here_only =
          line.find("\\u") != std::string::npos || line.find_first_of("eE") != std::string::npos;
      EXPECT_TRUE(json.outcome == Outcome::kInvalid || accepted_here_only) << line;
      continue;
    }
    ++num_valid;
    if (!other.is_object()) {
      EXPECT_EQ(json.outcome, Outcome::kNotObject) << line;
    } else if (!other.contains("text")) {
      EXPECT_EQ(json.outcome, Outcome::kMissing) << line;
    } else if (!other["text"].is_string()) {
      EXPECT_EQ(json.outcome, Outcome::kNotString) << line;
    } else {
      EXPECT_EQ(json.outcome, Outcome::kFound) << line;
      EXPECT_EQ(json.text, other["text"].get<std::string>()) << line;
    }
  }
  EXPECT_GT(num_valid, 20'000);
}

}  // namespace
}  // namespace sluice::text
