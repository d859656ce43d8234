// Field attributes: Affects and Path.
#include <gtest/gtest.h>

#include "config/config.h"

namespace sluice::config {
namespace {

struct ByteLevel {
  static constexpr std::string_view kind = "bytes";
  static constexpr auto fields() { return std::tuple{}; }
};
struct Pieces {
  static constexpr std::string_view kind = "pieces";
  std::int64_t size = 10;
  std::optional<std::string> model;
  static constexpr auto fields() {
    return std::tuple{field<&Pieces::size>("Size."),
                      field<&Pieces::model>("Model.", Path{"model.bin"})};
  }
};
struct Text {
  std::vector<std::string> train;
  std::string cache = "data/cache";
  double share = 0.5;
  static constexpr auto fields() {
    return std::tuple{field<&Text::train>("Files.", Path{"corpus"}),
                      field<&Text::cache>("Cache.", Affects::kPlace, Path{}),
                      field<&Text::share>("Share.")};
  }
};
struct Measure {
  std::int64_t every = 5, tokens = 7;
  static constexpr auto fields() {
    return std::tuple{field<&Measure::every>("Every."),
                      field<&Measure::tokens>("Tokens.", Affects::kFigures)};
  }
};
struct Example {
  Text text;
  std::variant<Pieces, ByteLevel> tokenizer;
  std::variant<Pieces, ByteLevel> model;
  Measure measure;
  std::int64_t steps = 3;
  std::int64_t threads = 2;
  static constexpr auto fields() {
    return std::tuple{field<&Example::text>("Text.", Affects::kText),
                      field<&Example::tokenizer>("Tokenizer.", Affects::kTokenizer),
                      field<&Example::model>("Model."),
                      field<&Example::measure>("Measure.", Affects::kCadence),
                      field<&Example::steps>("Steps.", Affects::kFuture),
                      field<&Example::threads>("Threads.", Affects::kExecution)};
  }
};

TEST(Attributes, FieldsInheritAffectsFromTheirSection) {
  EXPECT_EQ(affects_of<Example>("text.share"), Affects::kText);
  EXPECT_EQ(affects_of<Example>("text.cache"), Affects::kPlace);
  EXPECT_EQ(affects_of<Example>("tokenizer.size"), Affects::kTokenizer);
  EXPECT_EQ(affects_of<Example>("tokenizer.type"), Affects::kTokenizer);
  EXPECT_EQ(affects_of<Example>("model.size"), Affects::kWeights);
  EXPECT_EQ(affects_of<Example>("measure.every"), Affects::kCadence);
  EXPECT_EQ(affects_of<Example>("measure.tokens"), Affects::kFigures);
  EXPECT_EQ(affects_of<Example>("steps"), Affects::kFuture);
  for (const char* path : {"", "nothing", "text.nothing", "steps.more", "measure."})
    EXPECT_FALSE(affects_of<Example>(path)) << path;
}

TEST(Attributes, IdentityListsTheFieldsThatDefineTheExperiment) {
  EXPECT_EQ(identity(Example{}),
            "model:\n  type: pieces\n  size: 10\n  model: null\nmeasure:\n  tokens: 7\nsteps: 3\n");
  Example other;
  other.text.train = {"a"};
  other.tokenizer = ByteLevel{};
  other.measure.every = 6;
  other.threads = 9;
  EXPECT_EQ(identity(other), identity(Example{}));
  other.model = ByteLevel{};
  EXPECT_EQ(identity(other), "model:\n  type: bytes\nmeasure:\n  tokens: 7\nsteps: 3\n");
}

TEST(Attributes, PathsAreVisitedAndReplaced) {
  Example example;
  example.text.train = {"a.txt", "b.txt"};
  example.text.cache = "/tmp/x";
  example.tokenizer = Pieces{.model = "m"};
  std::string seen;
  for_each_path(example, [&](const std::string& field, std::string& path) {
    seen += field + "=" + path + " ";
    path += "!";
  });
  EXPECT_EQ(seen, "text.train=a.txt text.train=b.txt text.cache=/tmp/x tokenizer.model=m ");
  EXPECT_EQ(example.text.train, (std::vector<std::string>{"a.txt!", "b.txt!"}));
  const Example portable = without_paths(example);
  EXPECT_EQ(portable.text.train, (std::vector<std::string>{"corpus"}));
  EXPECT_EQ(portable.text.cache, "data/cache");
  EXPECT_EQ(std::get<Pieces>(portable.tokenizer).model, "model.bin");
  EXPECT_FALSE(std::get<Pieces>(portable.model).model) << "an absent path stays absent";
  EXPECT_TRUE(without_paths(Example{}).text.train.empty());
}

}  // namespace
}  // namespace sluice::config
