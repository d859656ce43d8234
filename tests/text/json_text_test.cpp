#include "text/json_text.h"

#include <gtest/gtest.h>

namespace sluice::text {
namespace {

TEST(JsonText, FindsTheMember) {
  EXPECT_EQ(json_text(R"({"text": "a b"})", "text"), "a b");
  EXPECT_EQ(json_text(R"( {"id": 7, "x": {"text": "no"}, "list": ["text", {"text": 1}], "text": "yes", "z": null} )", "text"), "yes");
  EXPECT_EQ(json_text(R"({"body": "\u00e9\n\ud83d\ude00\u0000"})", "body"), std::string("\xC3\xA9\n\xF0\x9F\x98\x80\0", 8));
  EXPECT_EQ(json_text(R"({"text": ""})", "text"), "");
}

TEST(JsonText, TheLastOfSeveralCounts) {
  EXPECT_EQ(json_text(R"({"text": "first", "text": "second"})", "text"), "second");
  EXPECT_EQ(json_text(R"({"text": "first", "text": 5})", "text"), std::nullopt);
}

TEST(JsonText, RefusesWhatIsNoObjectWithTheMember) {
  for (const char* line : {"",
                           "x",
                           "null",
                           "\"text\"",
                           "[]",
                           R"(["text", "a"])",
                           R"([{"text": "a"}])",
                           "{}",
                           R"({"other": "a"})",
                           R"({"text": 1})",
                           R"({"text": null})",
                           R"({"text": ["a"]})",
                           R"({"text": {"text": "a"}})",
                           R"({"text": "a")",
                           R"({"text": "a"} x)",
                           R"({"text": "a"}{"text": "b"})",
                           R"({"text": "\ud800"})",
                           R"({"text": "\udc00x"})",
                           "{\"text\": \"\xFF\"}",
                           "{\"text\": \"a\tb\"}",
                           R"({'text': 'a'})",
                           R"({"text": NaN})"}) {
    EXPECT_EQ(json_text(line, "text"), std::nullopt) << line;
  }
}

TEST(JsonText, DepthIsBounded) {
  const auto nested = [](int depth) {
    return R"({"x": )" + std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']') +
           R"(, "text": "a"})";
  };
  EXPECT_EQ(json_text(nested(90), "text"), "a");
  EXPECT_EQ(json_text(nested(200), "text"), std::nullopt);
  EXPECT_EQ(json_text(std::string(10'000'000, '['), "text"), std::nullopt);
  EXPECT_EQ(json_text("{\"x\":" + std::string(10'000'000, '['), "text"), std::nullopt);
}

}  // namespace
}  // namespace sluice::text
