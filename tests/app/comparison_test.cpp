// `sluice compare` end to end: runs of a tiny model, from the configuration to the report.
#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include "base/file.h"
#include "store/safetensors.h"
#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class ComparisonTest : public TwoVariantsTest {
 protected:
  std::vector<fs::path> cells(const std::string& folder = "two/cells") const {
    std::vector<fs::path> found;
    for (const fs::directory_entry& entry : fs::directory_iterator(path(folder)))
      found.push_back(entry.path());
    return found;
  }
};

template <class Condition>
bool wait_until(const Condition& condition, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(20ms);
  }
  return condition();
}

// Training processes with this text in their command line.
std::vector<pid_t> processes_with(const std::string& text) {
  std::vector<pid_t> found;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    const std::string line{std::istreambuf_iterator<char>(file), {}};
    if (line.find("train") != std::string::npos && line.find(text) != std::string::npos)
      found.push_back(std::stoi(name));
  }
  return found;
}

// The tensors of a file as bytes.
std::map<std::string, std::string> tensors_of(const fs::path& path) {
  const MappedFile file(path);
  std::map<std::string, std::string> tensors;
  for (const store::TensorView& tensor : store::parse_safetensors(file.bytes(), path.string()).all)
    tensors[tensor.name] =
        std::string(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  return tensors;
}

// The steps are too small to change a weight, so the final weights are the initial ones.
TEST_F(ComparisonTest, VariantsShareBatchesAndInitialValuesPerSeed) {
  ASSERT_EQ(sluice({"compare", "compare.yaml", "--jobs", "2", "--set", "optimizer.lr=1e-30",
                    "train.precision=fp32"})
                .exit_code,
            0);
  std::map<std::string, std::map<std::string, std::string>> weights, batches;
  for (const fs::path& cell : cells()) {
    // Without the hash.
    const std::string name =
        cell.filename().string().substr(0, cell.filename().string().rfind('-'));
    weights[name] = tensors_of(cell / "run" / "checkpoints" / "step-6" / "model.safetensors");
    const fs::path dump = path(name + ".safetensors");
    ASSERT_EQ(sluice({"train", (cell / "config.yaml").string(), "--run-dir",
                      path("manual-" + name).string(), "--dump-batches", dump.string()})
                  .exit_code,
              0);
    batches[name] = tensors_of(dump);
  }
  ASSERT_EQ(weights.size(), 4U);
  std::size_t num_shared = 0;
  for (const auto& [name, bytes] : weights["relu-seed-1"]) {
    if (name.find(".ffn.") != std::string::npos) continue;
    ++num_shared;
    EXPECT_EQ(bytes, weights["geglu-seed-1"].at(name)) << name;
  }
  EXPECT_GE(num_shared, 4U);
  EXPECT_NE(weights["relu-seed-1"], weights["relu-seed-2"]);
  EXPECT_FALSE(batches["relu-seed-1"].empty());
  EXPECT_EQ(batches["relu-seed-1"], batches["geglu-seed-1"]);
  EXPECT_NE(batches["relu-seed-1"], batches["relu-seed-2"]);
}

TEST_F(ComparisonTest, RunsFromTextToReport) {
  const Outcome outcome = sluice({"compare", "compare.yaml", "--jobs", "2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("geglu"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("two/report.html"), std::string::npos);
  for (const char* name : {"table.md", "table.tex", "results.csv", "results.json", "report.html"})
    EXPECT_TRUE(fs::exists(path("two") / name)) << name;
  const auto results = nlohmann::json::parse(read("two/results.json"));
  ASSERT_EQ(results["cells"].size(), 4U);
  for (const auto& cell : results["cells"]) {
    EXPECT_EQ(cell["status"], "finished");
    EXPECT_GT(cell["log_perplexity"].get<double>(), 1.0);
    EXPECT_FALSE(cell["cpu"].get<std::string>().empty());
  }

  // Two seeds decide nothing.
  const Outcome verdict = sluice({"verdict", "two"}),
                as_json = sluice({"verdict", "two", "--json"});
  EXPECT_EQ(verdict.exit_code, 82) << verdict.err;
  EXPECT_EQ(verdict.err, "");
  EXPECT_NE(verdict.out.find("geglu: undecided against relu"), std::string::npos) << verdict.out;
  EXPECT_NE(verdict.out.find("verdict  undecided\n"), std::string::npos) << verdict.out;
  EXPECT_EQ(as_json.exit_code, 82);
  EXPECT_EQ(as_json.json()["exit_code"], 82);
  EXPECT_EQ(as_json.json()["comparisons"][0]["verdict"], "undecided");
  EXPECT_EQ(sluice({"verdict", "nowhere"}).exit_code, 66);

  // Nothing is run twice.
  ASSERT_EQ(cells().size(), 4U);
  const auto before = fs::last_write_time(cells()[0] / "run" / "result.json");
  const Outcome again = sluice({"compare", "compare.yaml", "--jobs", "2", "--json"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["finished"], 4);
  EXPECT_EQ(again.json()["outcome"], "undecided");
  EXPECT_EQ(again.json()["comparisons"], as_json.json()["comparisons"]);
  EXPECT_EQ(fs::last_write_time(cells()[0] / "run" / "result.json"), before);
  EXPECT_EQ(nlohmann::json::parse(read("two/results.json"))["cells"], results["cells"]);

  // The report is rebuilt from the runs. Evaluation and checkpoint intervals do not change the
  // identity of a run.
  fs::remove(path("two/report.html"));
  EXPECT_EQ(sluice({"compare", "--report", "two"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(path("two/report.html")));
  EXPECT_EQ(sluice({"compare", "compare.yaml", "--jobs", "2", "--set", "evaluate.every_steps=2",
                    "checkpoint.every_steps=5", "run.name=other"})
                .exit_code,
            0);
  EXPECT_EQ(cells().size(), 4U);
  EXPECT_EQ(sluice({"compare", "compare.yaml", "--jobs", "2", "--set", "optimizer.lr=1e-3",
                    "--seeds", "1", "--only", "relu"})
                .exit_code,
            0);
  EXPECT_EQ(cells().size(), 5U);
}

// With one seed of another variant, means stay bit-identical and the verdict awaits its other seed.
TEST_F(ComparisonTest, AnAddedVariantIsAwaited) {
  ASSERT_EQ(sluice({"compare", "compare.yaml", "--jobs", "2"}).exit_code, 0);
  const auto before = nlohmann::json::parse(read("two/results.json"));
  ASSERT_TRUE(before["summary"][1]["p_holm"].is_number());
  const std::string wider = "compare.vary={model.ffn: [relu, geglu, swiglu]}";
  const Outcome added =
      sluice({"compare", "compare.yaml", "--set", wider, "--only", "swiglu", "--seeds", "1"});
  ASSERT_EQ(added.exit_code, 0) << added.err;
  const auto after = nlohmann::json::parse(read("two/results.json"));
  for (const char* key : {"mean", "std", "difference"})
    for (int v : {0, 1}) EXPECT_EQ(after["summary"][v][key], before["summary"][v][key]) << key;
  for (const char* key : {"p", "sign_flip_p", "letters"})
    EXPECT_TRUE(after["summary"][1][key].is_null()) << key;
  EXPECT_EQ(after["summary"][2]["pending_seeds"], nlohmann::json::array({2}));
  EXPECT_NE(added.out.find("No verdict: preliminary, one run is not finished"), std::string::npos)
      << added.out;
  EXPECT_NE(added.out.find("\nAfter 6 steps; the same learning rate for all variants, not tuned"),
            std::string::npos)
      << added.out;
  EXPECT_NE(read("two/table.md")
                .find("Extended after results were known, from a plan with too few "
                      "seeds for a verdict: variants relu"),
            std::string::npos);
}

// One learning rate destroys the model, one does not change it, one is reasonable.
TEST_F(ComparisonTest, ReportsRunsThatDidNotLearn) {
  write("rates.yaml", R"(extends: [tiny.yaml]
run:     {name: rates, dir: rates}
model:   {num_layers: 1, d_model: 32}
train:   {steps: 6}
compare: {vary: {optimizer.lr: [2e-3, 50, 1e-12]}, seeds: [1]}
)");
  const Outcome outcome = sluice({"compare", "rates.yaml", "--jobs", "2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto results = nlohmann::json::parse(read("rates/results.json"));
  EXPECT_EQ(results["cells"][0]["learned_nothing"], false);
  EXPECT_EQ(results["cells"][1]["learned_nothing"], true);
  EXPECT_EQ(results["cells"][2]["learned_nothing"], true);
  EXPECT_NEAR(results["cells"][0]["uniform_log_perplexity"].get<double>(), std::log(257.0), 0.02);
  EXPECT_NE(outcome.out.find("Runs that did not learn: 50 (seed 1) and 1e-12 (seed 1).\n"
                             "After 6 steps; learning rate varied, not tuned"),
            std::string::npos)
      << outcome.out;
  EXPECT_NE(read("rates/table.md").find("| 50 † |"), std::string::npos);
  EXPECT_EQ(read("rates/table.md").find("| 2e-3 † |"), std::string::npos);
  const Outcome alone = sluice(
      {"train", "tiny.yaml", "--run-dir", "dead", "--set", "optimizer.lr=50", "train.steps=10"});
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_NE(alone.err.find("the model did not learn; lower optimizer.lr"), std::string::npos)
      << alone.err;
  const Outcome still = sluice(
      {"train", "tiny.yaml", "--run-dir", "still", "--set", "optimizer.lr=1e-12", "train.steps=2"});
  EXPECT_NE(
      still.err.find("the same as before training: the model did not learn; raise optimizer.lr"),
      std::string::npos)
      << still.err;
  const Outcome healthy =
      sluice({"train", "tiny.yaml", "--run-dir", "healthy", "--set", "train.steps=1"});
  EXPECT_EQ(healthy.err.find("did not learn"), std::string::npos) << healthy.err;
}

// Control characters in the names of the comparison and its directory, in all files and on stdout.
TEST_F(ComparisonTest, EscapesControlCharactersOfNames) {
  const std::string nasty =
      "$n$ \xC2\x9B"
      "31m \xE2\x80\xAE |x|";
  write("nasty.yaml", "extends: [compare.yaml]\nrun: {name: \"" + nasty +
                          "\"}\ntrain: {steps: 1}\ncompare: {seeds: [1]}\n");
  const Outcome outcome = sluice({"compare", "nasty.yaml"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  fs::rename(path("two"), path("$d$ \x1b\xC2\x9B\xE2\x80\xAE"));
  const std::string moved = "$d$ \x1b\xC2\x9B\xE2\x80\xAE";
  const Outcome again = sluice({"compare", "--report", moved});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  for (const char* control : {"\x1b", "\xC2\x9B", "\xE2\x80\xAE"}) {
    for (const char* name : {"table.md", "table.tex", "results.csv", "report.html"})
      EXPECT_EQ(read(moved + "/" + name).find(control), std::string::npos) << name;
    EXPECT_EQ(again.out.find(control), std::string::npos) << again.out;
  }
  EXPECT_NE(read(moved + "/table.md")
                .find("# <span>\\$</span>n<span>\\$</span> \\\\u009b31m \\\\u202e \\|x\\|\n"),
            std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(read(moved + "/results.json"))["name"], nasty);
  const std::string not_utf8 = "two\xff";
  fs::rename(path(moved), path(not_utf8));
  const Outcome json = sluice({"compare", "--report", not_utf8, "--json"});
  ASSERT_EQ(json.exit_code, 0) << json.err;
  EXPECT_EQ(json.json()["directory"], "two\xEF\xBF\xBD");
}

// All tuning runs diverge; the report is still written.
TEST_F(ComparisonTest, TheExitCodeReportsThatEveryCandidateDiverged) {
  const Outcome outcome =
      sluice({"compare", "compare.yaml", "--jobs", "2", "--set", "corpus.tune_holdout=0.2",
              "compare.seeds=[1]", "compare.tune={optimizer.lr: [1e30], seeds: [9]}"});
  EXPECT_EQ(outcome.exit_code, 77) << outcome.err;
  EXPECT_NE(outcome.err.find("2 never started: every candidate of compare.tune diverged"),
            std::string::npos)
      << outcome.err;
  EXPECT_NE(read("two/table.md").find("1 of 1 diverged"), std::string::npos);
}

TEST_F(ComparisonTest, RecordsTheCommandWithShellQuotes) {
  const Outcome outcome = sluice(
      {"compare", "compare.yaml", "--seeds", "1", "--only", "relu", "--set", "run.name=it's two"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto comparison = nlohmann::json::parse(read("two/comparison.json"));
  const std::string command = comparison["commands"][0];
  EXPECT_TRUE(command.ends_with(
      " compare compare.yaml --seeds 1 --only relu --set 'run.name=it'\\''s two'"))
      << command;
  EXPECT_NE(read("two/table.md").find("reliminary"), std::string::npos);
  EXPECT_NE(outcome.out.find("reliminary: 3 runs are not finished"), std::string::npos)
      << outcome.out;
}

TEST_F(ComparisonTest, TuningUsesTheThirdSplit) {
  const Outcome outcome =
      sluice({"compare", "compare.yaml", "--jobs", "2", "--set", "corpus.tune_holdout=0.2",
              "compare.seeds=[1]", "compare.tune={optimizer.lr: [1e-9, 3e-3], seeds: [9]}"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(cells("two/tune").size(), 4U);
  const auto comparison = nlohmann::json::parse(read("two/comparison.json"));
  // The other candidate does not learn at all.
  EXPECT_EQ(comparison["variants"][0]["tuned"]["optimizer.lr"], "3e-3");
}

// 2 · 32 · 128 weights are 3 · 32 · 85⅓: `match` and 85 are two names for one layer, trained
// separately with the same seeds.
TEST_F(ComparisonTest, TwoNamesForOneLayerGiveIdenticalResults) {
  write("names.yaml", R"(extends: [tiny.yaml]
run:     {name: names, dir: two}
model:   {num_layers: 1, d_model: 32, ffn: geglu}
train:   {steps: 6}
compare: {vary: {model.d_ff: [match, 85]}, seeds: [1, 2, 3]}
)");
  const Outcome outcome = sluice({"compare", "names.yaml", "--jobs", "2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("their difference will be 0"), std::string::npos) << outcome.err;
  ASSERT_EQ(cells().size(), 6U);
  const auto results = nlohmann::json::parse(read("two/results.json"));
  std::map<std::string, std::vector<double>> by_name;
  for (const auto& cell : results["cells"])
    by_name[cell["settings"]["model.d_ff"].dump()].push_back(cell["log_perplexity"].get<double>());
  ASSERT_EQ(by_name.size(), 2U);
  const std::vector<double>&first = by_name.begin()->second, &second = by_name.rbegin()->second;
  EXPECT_EQ(first, second);
  EXPECT_NE(first[0], first[1]) << "two seeds give the same run";
  const auto& other = results["summary"][1];
  for (const char* name : {"difference", "difference_low", "difference_high"})
    EXPECT_EQ(other[name], 0.0) << name;
  for (const char* name : {"p", "p_holm", "paired_p", "paired_p_holm"})
    EXPECT_EQ(other[name], 1.0) << name;
  EXPECT_EQ(other["letters"], results["summary"][0]["letters"]);
}

TEST_F(ComparisonTest, TheSameCommandContinuesAfterAStop) {
  const std::vector<std::string> command{
      SLUICE_PROGRAM, "compare", "compare.yaml", "--jobs", "2", "--set", "train.steps=400"};
  Process compare(directory_.path(), command);
  const auto is_training = [&] {
    if (!fs::exists(path("two/cells"))) return false;
    for (const fs::path& cell : cells()) {
      if (!fs::exists(cell / "run" / "metrics.jsonl") ||
          fs::file_size(cell / "run" / "metrics.jsonl") < 2000)
        return false;
    }
    return cells().size() == 2;
  };
  ASSERT_TRUE(wait_until(is_training, 120s)) << compare.err();
  compare.signal(SIGTERM);
  const Outcome stopped = compare.wait();
  EXPECT_EQ(stopped.exit_code, 75) << stopped.err;

  const Outcome finished = sluice({"compare", "compare.yaml", "--jobs", "2", "--set",
                                   "train.steps=400", "--seeds", "1", "--json"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.json()["finished"], 2);
  EXPECT_NE(finished.err.find("continues from step"), std::string::npos) << finished.err;
}

TEST_F(ComparisonTest, RunsDieWithAKilledParent) {
  write("long.yaml", "extends: [compare.yaml]\nrun: {dir: " + path("long").string() +
                         "}\ntrain: {steps: 1000000}\n");
  Process compare(directory_.path(), {SLUICE_PROGRAM, "compare", "long.yaml", "--jobs", "2"});
  const std::string mark = path("long").string();
  ASSERT_TRUE(wait_until([&] { return processes_with(mark).size() == 2; }, 120s)) << compare.err();
  compare.signal(SIGKILL);
  compare.wait();
  EXPECT_TRUE(wait_until([&] { return processes_with(mark).empty(); }, 2s));
}

}  // namespace
}  // namespace sluice::app
