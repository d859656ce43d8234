// Loading with files, `extends` and overrides.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/base/temporary_directory.h"
#include "tests/config/sample.h"

namespace sluice::config {
namespace {

using sample::override_problems;
using sample::Root;
using sample::with_overrides;

class Load : public ::testing::Test {
 protected:
  std::string write(const std::string& name, std::string_view text) {
    const auto path = directory_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  Root load_file(const std::string& file, std::vector<std::string> overrides = {}) {
    return load<Root>({file, std::move(overrides)});
  }
  std::string problems(const std::string& file, std::vector<std::string> overrides = {},
                       ExitCode code = ExitCode::kUsage) {
    return sample::error_of([&] { load_file(file, std::move(overrides)); }, code);
  }
  testing::TemporaryDirectory directory_;
};

struct Compared {
  sample::Format metric = sample::Format::kText;
  std::optional<std::int64_t> average_last;
  static constexpr auto fields() {
    return std::tuple{field<&Compared::metric>("Metric.", AlsoSets{"average_last"}),
                      field<&Compared::average_last>("Average.", AtLeast{1})};
  }
};
struct Inside {
  std::optional<Compared> compare;
  static constexpr auto fields() { return std::tuple{field<&Inside::compare>("Section.")}; }
};

// `metric: {lines, average_last: 4}` sets both keys, in files, below `extends` and in overrides.
TEST_F(Load, AValueMayNameAnotherKeyBesideIt) {
  const auto loaded = [&](const std::string& text, std::vector<std::string> overrides = {}) {
    return *load<Inside>({write("pair.yaml", text), std::move(overrides)}).compare;
  };
  const std::string both = "compare: {metric: {lines, average_last: 4}}";
  EXPECT_EQ(loaded(both).metric, sample::Format::kLines);
  EXPECT_EQ(loaded(both).average_last, 4);
  EXPECT_EQ(parse<Inside>(both, "c.yaml").compare->average_last, 4);
  EXPECT_EQ(loaded("compare: {metric: {average_last: 4, lines}}").average_last, 4);
  EXPECT_EQ(loaded("compare: {metric: {average_last: 4, lines: }}").metric, sample::Format::kLines);
  EXPECT_EQ(loaded(both, {"compare.metric=text"}).average_last, 4);
  EXPECT_EQ(loaded(both, {"compare.average_last=2"}).average_last, 2);
  EXPECT_EQ(loaded(both, {"compare.metric={text, average_last: 7}"}).average_last, 7);
  write("base.yaml", both);
  EXPECT_EQ(loaded("extends: [base.yaml]\ncompare: {metric: text}").average_last, 4);
  for (const std::string wrong :
       {"{lines, text}", "{lines, average_last: 4, text}", "{lines, other: 4}", "{lines}", "{}"}) {
    const std::string problem =
        sample::error_of([&] { loaded("compare: {metric: " + wrong + "}"); });
    EXPECT_NE(problem.find("compare.metric: received a mapping; expected one of text, lines"),
              std::string::npos)
        << problem;
  }
  const std::string word =
      sample::error_of([&] { loaded("compare: {metric: {line, average_last: 4}}"); });
  EXPECT_NE(word.find("pair.yaml:1: compare.metric: received `line`"), std::string::npos) << word;
  const std::string twice = sample::error_of(
      [&] { loaded("compare: {average_last: 3, metric: {lines, average_last: 4}}"); });
  EXPECT_NE(twice.find("compare.metric: received a mapping"), std::string::npos) << twice;
}

TEST_F(Load, GivesTheDefaultsWithoutAFile) { EXPECT_EQ(with_overrides({}).model.d_model, 192); }

TEST_F(Load, AppliesOverridesLast) {
  const std::string file =
      write("a.yaml", "model: {d_model: 64, num_heads: 2}\nrun: {files: [a]}\n");
  const Root root = load_file(file, {"model.d_model=32", "run.files=[x, y]", "run.name=\"a: b\"",
                                     "model={bias: true}", "run.note=~"});
  EXPECT_EQ(root.run.files, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(root.run.name, "a: b");
  EXPECT_TRUE(root.model.bias);
  EXPECT_EQ(root.model.num_heads, 2);
}

TEST_F(Load, TheLaterOfTwoOverridesWins) {
  EXPECT_EQ(with_overrides({"run.seed=1", "run.seed=2"}).run.seed, 2U);
  EXPECT_EQ(with_overrides({"run.seed=1e3"}).run.seed, 1000U);
}

TEST_F(Load, AnOverriddenTypeDropsTheOldKeys) {
  const std::string file = write(
      "a.yaml", "optimizer: {type: adamw, lr: 1, betas: [0.1, 0.2]}\nsecond: {momentum: 0.5}\n");
  EXPECT_EQ(std::get<sample::Muon>(load_file(file, {"optimizer.type=muon"}).optimizer).lr, 0.02);
  EXPECT_EQ(
      std::get<sample::Muon>(load_file(file, {"optimizer.lr=7", "optimizer.type=muon"}).optimizer)
          .lr,
      7);
  // the same type
  EXPECT_EQ(std::get<sample::AdamW>(load_file(file, {"optimizer.type=adamw"}).optimizer).betas[0],
            0.1);
  // A mapping without `type` has the default type.
  EXPECT_EQ(std::get<sample::Muon>(load_file(file, {"second.type=muon"}).second).momentum, 0.5);
  EXPECT_EQ(std::get<sample::AdamW>(load_file(file, {"second.type=adamw"}).second).lr, 3e-4);
}

TEST_F(Load, ReportsInvalidOverrides) {
  EXPECT_EQ(override_problems({"modle.d_model=3"}),
            "--set: modle: unknown key; expected a key of this section: run, model, "
            "optimizer, second (did you mean `model`?)");
  EXPECT_EQ(override_problems({"model.d_modle=3"}),
            "--set: model.d_modle: unknown key; expected a key of this section: d_model, "
            "num_heads, ffn, d_ff, bias (did you mean `d_model`?)");
  EXPECT_EQ(override_problems({"model.bias=on"}),
            "--set: model.bias: received `on`; expected `true` or `false` (did you mean `true`?)");
  EXPECT_EQ(override_problems({"model.d_model.x=3"}),
            "--set: model.d_model: received a mapping; expected a whole number greater than 0, a "
            "multiple of 8");
  for (const char* text : {"model", "=3", ".a=3", "a.=3", "a..b=3", ""}) {
    EXPECT_EQ(override_problems({text}),
              "--set: received `" + std::string(text) + "`; expected KEY.KEY=VALUE");
  }
  EXPECT_EQ(override_problems({"run.files=[a"}),
            "--set: run.files: received a list or mapping as a key, or an unclosed bracket; "
            "expected scalar keys and closed brackets");
  EXPECT_TRUE(override_problems({"model={bias: true, bias: false}"})
                  .starts_with("--set: model: duplicate key `bias`"));
  EXPECT_TRUE(override_problems({"extends=[a.yaml]"}).starts_with("--set: extends: received"));
  EXPECT_TRUE(
      override_problems({"run.name=\xFF"}).starts_with("--set: run.name: received the byte"));
  EXPECT_FALSE(override_problems({"model.num_heads=5"}).empty());
}

TEST_F(Load, ReportsProblemsOfFileAndOverridesTogether) {
  const std::string file = write("a.yaml", "model: {bias: 1}\n");
  EXPECT_EQ(
      problems(file, {"run.seed=x", "nonsense"}),
      file + ":1: model.bias: received `1`; expected `true` or `false` (did you mean `true`?)\n" +
          "--set: run.seed: received `x`; expected a whole number\n" +
          "--set: received `nonsense`; expected KEY.KEY=VALUE");
}

TEST_F(Load, ExtendsMergesMappingsAndReplacesTheRest) {
  write("base/one.yaml",
        "run: {seed: 1, files: [a, b], name: one}\nmodel: {d_model: 64, num_heads: 2}\n");
  write("base/two.yaml", "extends: [one.yaml]\nrun: {seed: 2}\n");
  write("other.yaml", "run: {name: other}\noptimizer: {type: muon, momentum: 0.5}\n");
  const std::string file = write(
      "top.yaml", "extends: [base/two.yaml, other.yaml]\nrun: {files: [c]}\noptimizer: {lr: 9}\n");
  const Root root = load_file(file);
  EXPECT_EQ(root.run.seed, 2U);
  EXPECT_EQ(root.run.name, "other");
  EXPECT_EQ(root.run.files, std::vector<std::string>{"c"});
  EXPECT_EQ(root.model.num_heads, 2);
  EXPECT_EQ(std::get<sample::Muon>(root.optimizer).momentum, 0.5);
  EXPECT_EQ(std::get<sample::Muon>(root.optimizer).lr, 9);
}

TEST_F(Load, AChangedTypeReplacesTheWholeMapping) {
  // adamw and muon by default
  write("base.yaml", "optimizer: {betas: [0.1, 0.2]}\nsecond: {lr: 3}\n");
  const std::string file =
      write("top.yaml",
            "extends: [base.yaml]\noptimizer: {type: muon}\nsecond: {type: muon, momentum: 1}\n");
  EXPECT_EQ(std::get<sample::Muon>(load_file(file).optimizer).lr, 0.02);
  EXPECT_EQ(std::get<sample::Muon>(load_file(file).second).lr, 3);
}

TEST_F(Load, ProblemsNameTheFileOfTheKey) {
  const std::string base = write("base.yaml", "\nrun:\n  seed: x\nmodel: {d_model: 64}\n");
  const std::string file =
      write("top.yaml", "extends: [base.yaml]\nmodel:\n  num_heads: 5\n  bais: true\n");
  EXPECT_EQ(problems(file),
            file +
                ":4: model.bais: unknown key; expected a key of this section: d_model, num_heads, "
                "ffn, d_ff, bias (did you mean `bias`?)\n" +
                base + ":3: run.seed: received `x`; expected a whole number");
}

TEST_F(Load, BoundsCyclesDepthAndFileCount) {
  const std::string file = write("a.yaml", "extends: [b.yaml]\n");
  const std::string other = write("b.yaml", "extends: [./a.yaml]\n");
  EXPECT_TRUE(problems(file).starts_with(other + ":1:11: extends: received `")) << problems(file);
  EXPECT_NE(problems(file).find("` (cycle); expected no cycle"), std::string::npos);
  const std::string self = write("self.yaml", "extends: [self.yaml]\n");
  EXPECT_NE(problems(self).find("no cycle"), std::string::npos);
  for (int i = 0; i < 10; ++i) {
    const std::string next = std::to_string(i + 1) + ".yaml";
    write(std::to_string(i) + ".yaml", i < 9 ? "extends: [" + next + "]\n" : "run: {seed: 5}\n");
  }
  EXPECT_EQ(load_file((directory_ / "1.yaml").string()).run.seed, 5U);  // eight levels below
  EXPECT_NE(problems((directory_ / "0.yaml").string()).find("at most 8 levels"), std::string::npos);
  write("leaf.yaml", "run: {seed: 6}\n");
  write("mid.yaml",
        "extends: [leaf.yaml, leaf.yaml, leaf.yaml, leaf.yaml, leaf.yaml, leaf.yaml, leaf.yaml, "
        "leaf.yaml]\n");
  // repeating a file is not a cycle
  EXPECT_EQ(load_file((directory_ / "mid.yaml").string()).run.seed, 6U);
  const std::string wide = write("wide.yaml",
                                 "extends: [mid.yaml, mid.yaml, mid.yaml, mid.yaml, mid.yaml, "
                                 "mid.yaml, mid.yaml, mid.yaml]\n");
  EXPECT_NE(problems(wide).find("at most 64 files"), std::string::npos);
}

TEST_F(Load, ExtendsIsAListOfNames) {
  EXPECT_NE(problems(write("a.yaml", "extends: base.yaml\n"))
                .find("expected a list of file names, such as [base.yaml]"),
            std::string::npos);
  EXPECT_NE(problems(write("b.yaml", "extends: [[x]]\n")).find("expected a list of file names"),
            std::string::npos);
  EXPECT_NE(problems(write("c.yaml", "extends: [\"\\0\"]\n")).find("expected a list of file names"),
            std::string::npos);
  write("list.yaml", "[a]\n");
  EXPECT_NE(problems(write("d.yaml", "extends: [list.yaml]\n"))
                .find("list.yaml:1:1: received a list of 1; expected a mapping at the top"),
            std::string::npos);
  EXPECT_EQ(load_file(write("e.yaml", "extends: []\nrun: {seed: 3}")).run.seed, 3U);
  write("empty.yaml", "");
  EXPECT_EQ(load_file(write("f.yaml", "extends: [empty.yaml]\nrun: {seed: 4}")).run.seed, 4U);
}

TEST_F(Load, MissingFilesNameTheExtendingFile) {
  EXPECT_NE(problems((directory_ / "no.yaml").string(), {}, ExitCode::kMissingInput)
                .find("no.yaml: file not found"),
            std::string::npos);
  const std::string file = write("a.yaml", "\nextends: [gone.yaml]\n");
  const std::string text = problems(file, {}, ExitCode::kMissingInput);
  EXPECT_NE(text.find("gone.yaml"), std::string::npos);
  EXPECT_NE(text.find("named by `extends` in " + file + ":2"), std::string::npos) << text;
  EXPECT_NE(problems(directory_.path().string(), {}, ExitCode::kMissingInput)
                .find("received a directory; expected a YAML file"),
            std::string::npos);
}

TEST_F(Load, ReportsUnresolvableNames) {
  std::filesystem::create_symlink("loop.yaml", directory_ / "loop.yaml");
  EXPECT_NE(problems((directory_ / "loop.yaml").string(), {}, ExitCode::kMissingInput)
                .find("file not found"),
            std::string::npos);
  const std::string file = write("a.yaml", "extends: [" + std::string(5000, 'x') + "]\n");
  EXPECT_NE(problems(file, {}, ExitCode::kMissingInput).find("named by `extends`"),
            std::string::npos);
  EXPECT_NE(problems(file + "/below.yaml", {}, ExitCode::kMissingInput).find("file not found"),
            std::string::npos);
}

TEST_F(Load, ABrokenFileOrBaseIsReportedAlone) {
  write("base.yaml", "run: [\n");
  EXPECT_TRUE(problems(write("a.yaml", "extends: [base.yaml]\nmodel: {bias: 1}\n"))
                  .ends_with("expected valid YAML"));
}

}  // namespace
}  // namespace sluice::config
