#include "config/record.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace sluice::config {
namespace {

enum class State { kOpen, kDone };
constexpr auto names_of(State) {
  return std::array{std::pair{State::kOpen, std::string_view("open")},
                    std::pair{State::kDone, std::string_view("done")}};
}

struct Pair {
  static constexpr bool as_list = true;
  double nats = 0;
  std::uint64_t count = 0;
  static constexpr auto fields() {
    return std::tuple{field<&Pair::nats>("Nats."), field<&Pair::count>("Targets.")};
  }
};

struct Inner {
  double share = 0.5;
  std::optional<double> figure, later;
  static constexpr auto fields() {
    return std::tuple{field<&Inner::share>("A share.", Between{0, 1}),
                      field<&Inner::figure>("May be null."),
                      field<&Inner::later>("Not in earlier versions.", MayBeMissing{})};
  }
};

struct Example {
  static constexpr RecordFormat record{.name = "example",
                                       .place = "example.json",
                                       .summary = "A record | of a test.",
                                       .expected = "an example",
                                       .version = 3,
                                       .indent = -1,
                                       .seal = RecordFormat::Seal::kRequired};
  std::int64_t step = 0;
  std::uint64_t seed = 0;
  double value = 0;
  bool is_done = false;
  std::string name;
  State state = State::kOpen;
  Hash128 hash;
  Inner inner;
  std::vector<Pair> pairs;
  std::map<std::string, std::string> notes;
  std::vector<std::pair<std::string, std::string>> settings;
  std::map<std::string, Inner> others;

  static constexpr auto fields() {
    using E = Example;
    return std::tuple{field<&E::step>("Step.", NonNegative{}),
                      field<&E::seed>("Seed."),
                      field<&E::value>("Any number."),
                      field<&E::is_done>("Done."),
                      field<&E::name>("Name."),
                      field<&E::state>("State."),
                      field<&E::hash>("Hash.", Key{"xxh3_128"}),
                      field<&E::inner>("Inner."),
                      field<&E::pairs>("Pairs."),
                      field<&E::notes>("Notes."),
                      field<&E::settings>("In order."),
                      field<&E::others>("Others.", Rest{})};
  }
  static void check(const Example& example, Problems& problems) {
    if (example.name == "forbidden") problems.add("name", example.name, "another name");
  }
};

struct Plain {
  static constexpr RecordFormat record{.name = "plain",
                                       .place = "plain.json",
                                       .summary = "No format, no seal.",
                                       .expected = "a plain one"};
  std::int64_t step = 0;
  std::vector<Pair> pairs;
  Inner inner;
  static constexpr auto fields() {
    return std::tuple{field<&Plain::step>("Step.", NonNegative{}), field<&Plain::pairs>("Pairs."),
                      field<&Plain::inner>("Inner.")};
  }
};

Example example() {
  return {.step = 7,
          .seed = std::numeric_limits<std::uint64_t>::max(),
          .value = 5e-324,
          .is_done = true,
          .name = "blåbär \"x\"\n",
          .state = State::kDone,
          .hash = hash_of(std::string_view("abc")),
          .inner = {.share = 0.25, .figure = -0.0},
          .pairs = {{1.0 / 3, 4}, {1.7976931348623157e308, 0}},
          .notes = {{"b", "2"}, {"a", "1"}},
          .settings = {{"z", "1"}, {"a", "2"}},
          .others = {{"train", {.later = 2.5}}}};
}

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

TEST(Record, EveryTypeReadsBackBitIdentically) {
  const std::string text = to_json(example());
  const auto back = from_json<Example>(text, "f");
  EXPECT_EQ(to_json(back), text);
  EXPECT_EQ(back.seed, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(back.value, 5e-324);
  EXPECT_EQ(back.state, State::kDone);
  EXPECT_EQ(back.hash, example().hash);
  EXPECT_TRUE(std::signbit(*back.inner.figure));
  EXPECT_FALSE(back.inner.later);
  EXPECT_EQ(back.pairs.at(1).nats, 1.7976931348623157e308);
  EXPECT_EQ(back.settings, example().settings) << "order is kept";
  EXPECT_EQ(back.others.at("train").later, 2.5);
  EXPECT_FALSE(back.others.at("train").figure);
}

TEST(Record, WritesTheJsonOfTheRows) {
  const std::string text = to_json(Plain{.step = 1, .pairs = {{0.5, 2}}, .inner = {.share = 1}});
  EXPECT_EQ(text,
            "{\n  \"step\": 1,\n  \"pairs\": [\n    [\n      0.5,\n      2\n    ]\n  ],\n  "
            "\"inner\": {\n    \"share\": 1.0,\n    \"figure\": null\n  }\n}\n");
}

TEST(Record, NonFiniteNumbersAreNull) {
  Plain plain{.pairs = {{std::nan(""), 1}, {std::numeric_limits<double>::infinity(), 2}},
              .inner = {.figure = std::nan("")}};
  const std::string text = to_json(plain);
  EXPECT_NE(text.find("null,\n      1"), std::string::npos) << text;
  const auto back = from_json<Plain>(text, "f");
  EXPECT_TRUE(std::isnan(back.pairs.at(0).nats) && std::isnan(back.pairs.at(1).nats));
  EXPECT_FALSE(back.inner.figure);
  plain.inner.share = std::nan("");  // its limits exclude NaN
  EXPECT_NE(error_of([&] {
              from_json<Plain>(to_json(plain), "f");
            }).find("f: inner.share: received null"),
            std::string::npos);
}

TEST(Record, ReportsAllProblemsTogether) {
  const std::string message = error_of([] {
    from_json<Plain>(R"({"step": -1, "pairs": [[1, 2], [1], [true, "2"]],)"
                     R"( "inner": {"share": "0.5", "figure": 1, "more": []}})",
                     "a.json");
  });
  EXPECT_EQ(message,
            "a.json: step: received -1; expected a whole number of at least 0\n"
            "a.json: pairs[1]: received a list; expected a list of nats, count\n"
            "a.json: pairs[2][0]: received true; expected a number\n"
            "a.json: pairs[2][1]: received \"2\"; expected a whole number\n"
            "a.json: inner.more: unknown key; expected no other keys\n"
            "a.json: inner.share: received \"0.5\"; expected a number from 0 to 1 (expected a "
            "plain one)");
  EXPECT_EQ(error_of([] { from_json<Plain>("{}", "a.json"); }),
            "a.json: step: missing; expected a whole number of at least 0\n"
            "a.json: pairs: missing; expected a list, each item a list\n"
            "a.json: inner: missing; expected a mapping (expected a plain one)");
  for (const char* text : {"", "[]", "null", "{", "3"})
    EXPECT_EQ(error_of([&] { from_json<Plain>(text, "a.json"); }),
              "a.json: not a JSON object; expected a plain one")
        << text;
}

// Replaces each member by values of other types.
TEST(Record, WrongTypesAreRefusedEverywhere) {
  const auto good = nlohmann::ordered_json::parse(to_json(Plain{.step = 3, .pairs = {{1, 2}}}));
  for (const auto& [key, value] : good.items()) {
    for (const char* other : {"\"text\"", "true", "null", "1.5", "18446744073709551616"}) {
      nlohmann::ordered_json changed = good;
      changed[key] = nlohmann::ordered_json::parse(other);
      EXPECT_NE(error_of([&] { from_json<Plain>(changed.dump(), "f"); }).find("f: " + key),
                std::string::npos)
          << key << other;
    }
  }
}

TEST(Record, RunsCheck) {
  Example forbidden = example();
  forbidden.name = "forbidden";
  EXPECT_EQ(error_of([&] { from_json<Example>(to_json(forbidden), "f"); }),
            "f: name: received forbidden; expected another name (expected an example)");
}

TEST(Record, ReportsUnsupportedFormats) {
  EXPECT_EQ(error_of([] { from_json<Example>(R"({"format": 4})", "f"); }),
            "f: unsupported example format 4; expected format 3");
  EXPECT_EQ(error_of([] { from_json<Example>("{}", "f"); }),
            "f: format: missing; expected 3, as in an example");
  EXPECT_EQ(error_of([] { from_json<Example>(R"({"format": "3"})", "f"); }),
            "f: format: received \"3\"; expected 3, as in an example");
}

TEST(Record, TheSealCoversEveryByte) {
  const std::string text = to_json(example());
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_THROW(from_json<Example>(flipped, "f"), UserError) << flipped;
  }
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_THROW(from_json<Example>(text.substr(0, size), "f"), UserError);
  EXPECT_THROW(from_json<Example>(text + "\n", "f"), UserError);
  const std::size_t seal = text.find(",\"seal_xxh3_128\"");
  EXPECT_NE(error_of([&] {
              from_json<Example>(text.substr(0, seal) + "}\n", "f");
            }).find("hash mismatch"),
            std::string::npos);
}

// Nesting deeper than the stack allows is refused and not printed.
TEST(Record, RefusesDeepNesting) {
  constexpr std::size_t kDepth = 1 << 20;
  const std::string deep = std::string(kDepth, '[') + std::string(kDepth, ']');
  for (const std::string& text :
       {"{\"step\":" + deep + "}", "{\"pairs\":[" + deep + "]}", "{\"other\":" + deep + "}",
        "{\"inner\":{\"share\":" + deep + "}}"}) {
    const std::string message = error_of([&] { from_json<Plain>(text, "f"); });
    EXPECT_NE(message.find("expected"), std::string::npos) << message;
    EXPECT_EQ(message.find("[["), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace sluice::config
