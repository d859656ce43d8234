// The page of single runs: parsed strictly, complete, harmless for hostile names.
#include "report/run_page.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "base/text_format.h"
#include "tests/base/count_parts.h"
#include "tests/base/temporary_directory.h"

namespace sluice::report {
namespace {

ShownRun example_run(const std::string& name, double level, std::int64_t num_steps = 300) {
  ShownRun run{
      .name = name,
      .directory = "runs/" + name,
      .settings = {{"model.ffn", name}, {"train.steps", cat(num_steps)}, {"run.seed", "1"}},
      .yaml = "model:\n  ffn: " + name + "\n",
      .num_steps = num_steps,
      .is_finished = true,
      .tokens = 1'234'567,
      .num_parameters = 3'443'136,
      .machine = "a processor",
      .device = "cpu",
      .precision = "fp32"};
  for (std::int64_t step = 1; step <= num_steps; ++step) {
    const double x = static_cast<double>(step);
    run.steps.push_back({.step = step,
                         .log_perplexity = level + 4 * std::exp(-x / 40),
                         .grad_norm = 1 / x,
                         .lr = 1e-3,
                         .seconds = 0.5,
                         .tokens_per_s = 1000 + x,
                         .mfu = 0.25,
                         .resident_bytes = 3e8});
  }
  for (std::int64_t step = 0; step <= num_steps; step += 100)
    run.evaluations.push_back({.step = step,
                               .log_perplexity = level + 4 * std::exp(-step / 40.0),
                               .perplexity = 20,
                               .bits_per_byte = 1.5});
  return run;
}

std::string page_of(const std::vector<ShownRun>& runs) {
  const sluice::testing::TemporaryDirectory directory;
  const std::string page = run_page(runs, "0.1.0 (test)");
  std::ofstream(directory / "page.html") << page;
  const std::string command =
      cat("'", SLUICE_PYTHON, "' '", SLUICE_SOURCE_DIR, "/tests/report/check_page.py' '",
          (directory / "page.html").string(), "'");
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  return page;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(RunPage, OneRunHasItsFiguresCurvesAndSettings) {
  const std::string page = page_of({example_run("swiglu", 3)});
  for (const char* part :
       {"<h1>swiglu</h1>", "finished, 300 steps", "3,443,136", "1,234,567", "3.0022",
        "Curves of held-out log-perplexity", "Curves of training log-perplexity",
        "Curves of gradient norm", "Curves of learning rate", "Curves of target tokens per second",
        "Curves of main memory", "  ffn: swiglu", "286 MiB", "1,151"})
    EXPECT_TRUE(contains(page, part)) << part;
  EXPECT_EQ(sluice::testing::count_parts(page, "role=\"img\""), 12u);  // six plots in two sizes
  EXPECT_FALSE(contains(page, "Settings that differ"));
}

TEST(RunPage, SeveralRunsShowOnlyTheSettingsThatDiffer) {
  std::vector<ShownRun> runs = {example_run("swiglu", 3), example_run("relu", 3.5, 200)};
  runs[1].settings.emplace_back("model.extra", "7");
  const std::string page = page_of(runs);
  const std::size_t at = page.find("Settings that differ");
  ASSERT_NE(at, std::string::npos);
  const std::string table = page.substr(at, page.find("</table>", at) - at);
  for (const char* part : {"model.ffn", "train.steps", "model.extra", ">–<"})
    EXPECT_TRUE(contains(table, part)) << part;
  EXPECT_FALSE(contains(table, "run.seed"));
  EXPECT_TRUE(contains(page, "2 runs side by side"));
  // One line per run in each of the wide plots.
  EXPECT_EQ(sluice::testing::count_parts(page, "<g class=\"v1\">\n<polyline class=\"line\""), 12u);
}

TEST(RunPage, WarnsOfDifferentTokenizers) {
  std::vector<ShownRun> runs = {example_run("a", 3), example_run("b", 3)};
  EXPECT_FALSE(contains(page_of(runs), "not comparable"));
  runs[1].tokenizer_hash = "other";
  EXPECT_TRUE(contains(page_of(runs), "not comparable"));
}

TEST(RunPage, RunsOfTheSameNameAreIdentifiedByDirectory) {
  std::vector<ShownRun> runs = {example_run("a", 3), example_run("a", 3)};
  runs[1].directory = "runs/other";
  const std::string page = page_of(runs);
  EXPECT_TRUE(contains(page, ">runs/other</text>"));
}

TEST(RunPage, AnUnfinishedRunWithoutEvaluations) {
  ShownRun run = example_run("a", 3);
  run.is_finished = false;
  run.steps.resize(20);
  run.evaluations.clear();
  for (ShownStep& step : run.steps) step.resident_bytes.reset();
  const std::string page = page_of({run});
  EXPECT_TRUE(contains(page, "step 20 of 300"));
  EXPECT_TRUE(contains(page, "no held-out evaluation"));
  EXPECT_FALSE(contains(page, "Curves of main memory"));
}

TEST(RunPage, NonFiniteValuesAreLeftOut) {
  ShownRun run = example_run("a", 3);
  run.steps[150].log_perplexity = NAN;
  run.steps[151].grad_norm = INFINITY;
  run.evaluations.back().log_perplexity = NAN;
  const std::string page = page_of({run});
  EXPECT_FALSE(contains(page, "nan"));
}

TEST(RunPage, HostileNamesAreText) {
  ShownRun run = example_run("a", 3);
  run.name = "<script>alert(1)</script>\"'&\x01";
  run.directory = "</code><img src=x>";
  run.yaml = "</pre><b>";
  run.machine = "<i>";
  run.settings[0] = {"<u>", "<u>"};
  const std::string page = page_of({run, example_run("b", 3)});
  for (const char* part : {"<script", "<img", "<b>", "<i>", "<u>"})
    EXPECT_FALSE(contains(page, part)) << part;
}

TEST(RunPage, ManyStepsGiveASmallPage) {
  const std::string page = page_of({example_run("a", 3, 100'000)});
  EXPECT_LT(page.size(), 200'000u);
}

}  // namespace
}  // namespace sluice::report
