// `sluice audit`: each way to change a comparison is found and named; honest runs are reproduced.
#include <fstream>

#include "base/file.h"
#include "base/hash.h"
#include "base/sha256.h"
#include "base/text_format.h"
#include "compare/cell.h"
#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class AuditTest : public TwoVariantsTest {
 protected:
  AuditTest() {
    const Outcome outcome = sluice({"compare", "compare.yaml", "--jobs", "2"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  // A copy of the comparison to change.
  void start_over() const {
    fs::remove_all(path("copy"));
    fs::copy(path("two"), path("copy"), fs::copy_options::recursive);
  }
  std::string cell(const std::string& start) const {
    for (const fs::directory_entry& entry : fs::directory_iterator(path("copy/cells")))
      if (entry.path().filename().string().starts_with(start))
        return "copy/cells/" + entry.path().filename().string();
    ADD_FAILURE() << "no cell " << start;
    return "";
  }
  void replace(const std::string& name, const std::string& from, const std::string& to) const {
    std::string text = read(name);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << name << ": no " << from;
    write(name, text.replace(at, from.size(), to));
  }
  // Changes the text after `key`, up to the next comma.
  void change_number(const std::string& name, const std::string& key, const std::string& to) const {
    std::string text = read(name);
    const std::size_t at = text.find(key);
    ASSERT_NE(at, std::string::npos) << name << ": no " << key;
    const std::size_t begin = at + key.size(), end = text.find_first_of(",}", begin);
    write(name, text.replace(begin, end - begin, to));
  }
  template <class Change>
  void change_record(const std::string& name, const Change& change) const {
    const fs::path file = path(name + "/cell.json");
    std::optional<compare::CellRecord> record = compare::read_record(file);
    ASSERT_TRUE(record && record->seal);
    change(*record);
    if (record->seal) record->seal->digest = sha256_of(compare::seal_lines(*record));
    compare::write_record(*record, file);
  }
  void expect_fault(const std::string& fault, const std::string& cells = "0") const {
    const Outcome outcome = sluice({"audit", "copy", "--cells", cells, "--seed", "1"});
    EXPECT_EQ(outcome.exit_code, 65) << outcome.err;
    EXPECT_NE(outcome.err.find(fault), std::string::npos) << fault << " not in " << outcome.err;
  }
  void write_report() const { ASSERT_EQ(sluice({"compare", "--report", "copy"}).exit_code, 0); }
};

TEST_F(AuditTest, RepeatsHonestRunsBitForBit) {
  start_over();
  const Outcome outcome = sluice({"audit", "copy", "--cells", "3", "--seed", "5", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = outcome.json();
  EXPECT_EQ(json["ok"], true);
  ASSERT_EQ(json["repeated"].size(), 3U);
  for (const auto& one : json["repeated"]) {
    EXPECT_TRUE(one["faults"].empty());
    EXPECT_TRUE(one["kind_differences"].empty()) << one;
  }
  for (const auto& one : json["checked"]) EXPECT_TRUE(one["fault"].is_null()) << one;

  // The seal, by other programs.
  const Outcome sum = run({"sha256sum", "copy/seal.txt"});
  EXPECT_EQ(json["seal"], sum.out.substr(0, 64));
  EXPECT_EQ(nlohmann::json::parse(read("copy/results.json"))["seal"], json["seal"]);
  for (const char* name : {"copy/table.md", "copy/report.html"})
    EXPECT_NE(read(name).find(json["seal"].get<std::string>()), std::string::npos) << name;
  const std::string relu = cell("relu-seed-1"), seal = read("copy/seal.txt");
  const Outcome losses =
      run({"sh", "-c", "sed 's/,\"time\":{.*$/}/' " + relu + "/run/metrics.jsonl | sha256sum"});
  EXPECT_NE(seal.find("  losses " + losses.out.substr(0, 64)), std::string::npos) << seal;
  const Outcome result =
      run({"sh", "-c",
           "sed -E 's/\"training_seconds\":[^,]*,//; s/,\"seal_xxh3_128\":\"[^\"]*\"//' " + relu +
               "/run/result.json | sha256sum"});
  EXPECT_NE(seal.find("  result " + result.out.substr(0, 64)), std::string::npos) << seal;
}

// The same runs have the same seal, whenever they are trained.
TEST_F(AuditTest, TheSealDoesNotDependOnTimes) {
  const std::string first = read("two/seal.txt");
  fs::rename(path("two"), path("before"));
  ASSERT_EQ(sluice({"compare", "compare.yaml", "--jobs", "2"}).exit_code, 0);
  EXPECT_EQ(read("two/seal.txt"), first);
}

TEST_F(AuditTest, NamesEditedFiles) {
  start_over();
  change_number("copy/results.json", "\"mean\": ", "1.5");
  expect_fault("results.json: summary[0].mean: received 1.5; expected ");

  start_over();
  std::string table = read("copy/table.md");
  const std::size_t row = table.find("| geglu"), digit = table.find_first_of("0123456789", row);
  table[digit] = table[digit] == '9' ? '8' : '9';
  write("copy/table.md", table);
  expect_fault("copy/table.md: line ");

  start_over();
  change_number(cell("geglu-seed-2") + "/run/metrics.jsonl", "\"loss\":", "1.25");
  expect_fault(cell("geglu-seed-2") + "/metrics.jsonl: received ");

  start_over();
  const std::string result = cell("relu-seed-1") + "/run/result.json";
  change_number(result, "\"log_perplexity\":", "1.25");
  expect_fault(cell("relu-seed-1") + "/result.json: received ");
  // With a new hash, too.
  std::string text = read(result);
  const std::size_t digits = text.find("\"seal_xxh3_128\":\"") + 17;
  text.erase(digits, 32);
  text.insert(digits, hash_of(std::string_view(text).substr(0, text.size() - 1)).hex());
  write(result, text);
  expect_fault(cell("relu-seed-1") + "/result.json: received ");
  // And the report does not use it.
  const Outcome report = sluice({"compare", "--report", "copy", "--json"});
  EXPECT_EQ(report.json()["failed"], 1) << report.out;

  start_over();
  replace(cell("relu-seed-1") + "/cell.json", "\"threads\": 1", "\"threads\": 2");
  expect_fault(cell("relu-seed-1") + "/cell.json: received ");

  start_over();
  replace("copy/comparison.json", "steps: 6", "steps: 7");
  expect_fault("copy/seal.txt: line 2: received `config ");

  start_over();
  replace(cell("geglu-seed-1") + "/config.yaml", "batch_sequences: 4", "batch_sequences: 8");
  expect_fault(cell("geglu-seed-1") +
               "/config.yaml: train.batch_sequences: received 8; expected 4");

  start_over();
  replace("copy/seal.txt", "state finished", "state diverged");
  expect_fault("copy/seal.txt: line 5: received `  state diverged`; expected `  state finished`");
}

// A run of another configuration, trained honestly, in the place of one of the comparison.
TEST_F(AuditTest, FindsRunsOfOtherSettings) {
  start_over();
  const std::string original = read("copy/comparison.json");
  const Outcome outcome = sluice({"compare", "compare.yaml", "--set", "run.dir=copy",
                                  "optimizer.lr=1e-5", "--only", "relu", "--seeds", "1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto other = nlohmann::ordered_json::parse(read("copy/comparison.json"));
  auto json = nlohmann::ordered_json::parse(original);
  for (const char* key : {"hash", "directory"}) json["cells"][0][key] = other["cells"][0][key];
  std::ofstream(path("copy/comparison.json")) << json;
  write_report();
  expect_fault("/result.json: optimizer.lr: received 1e-05; expected ");
  expect_fault(": 1 ended run of other settings, not part of the comparison");
}

// The files of runs on a GPU can be checked on a machine without one.
TEST_F(AuditTest, FilesNeedNoGpu) {
  start_over();
  replace("copy/comparison.json", "device: auto", "device: cuda");
  write_report();
  const Outcome outcome = sluice({"audit", "copy", "--cells", "0"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(AuditTest, NamesOtherPrograms) {
  start_over();
  const auto by_another = [](compare::CellRecord& record) {
    record.build = record.seal->program = "0.0.9 (old)";
    record.seal->executable = std::string(64, '0');
  };
  change_record(cell("relu-seed-1"), by_another);
  write_report();
  expect_fault("seed 1: received runs by 0.0.9 (old) and by ");

  // One program for all runs, but not this one: the limits apply instead of equal bits.
  for (const char* name : {"relu-seed-2", "geglu-seed-1", "geglu-seed-2"})
    change_record(cell(name), by_another);
  write_report();
  const Outcome outcome = sluice({"audit", "copy", "--seed", "1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("the runs are by 0.0.9 (old), the audit by "), std::string::npos);
  EXPECT_NE(outcome.out.find("within the limits for another kind of machine (program "),
            std::string::npos)
      << outcome.out;

  change_record(cell("relu-seed-1"), [](compare::CellRecord& r) { r.seal->numerics = 1; });
  expect_fault("cell.json: numerics: received 1, of 0.0.9 (old); expected ");
}

// All hashes are computed again, so only another training finds it.
TEST_F(AuditTest, TrainingAgainFindsInventedLosses) {
  start_over();
  for (const char* name : {"relu-seed-1", "relu-seed-2", "geglu-seed-1", "geglu-seed-2"}) {
    const std::string metrics = cell(name) + "/run/metrics.jsonl";
    change_number(metrics, "\"step\":3,\"tokens\":768,\"loss\":", "5.25");
    change_record(cell(name), [&](compare::CellRecord& record) {
      record.seal->losses = sha256_of(compare::untimed_metrics(read(metrics)));
    });
  }
  write_report();
  EXPECT_EQ(sluice({"audit", "copy", "--cells", "0"}).exit_code, 0);
  expect_fault("metrics.jsonl: step 3: loss: received ", "1");
  // On another kind of machine, the limits find it.
  for (const char* name : {"relu-seed-1", "relu-seed-2", "geglu-seed-1", "geglu-seed-2"})
    change_record(cell(name), [](compare::CellRecord& record) { record.env.cpu = "Other"; });
  write_report();
  expect_fault("; expected 5.25 within ", "1");
}

TEST_F(AuditTest, SaysHowToPrepareMissingData) {
  start_over();
  fs::remove_all(path("prepared"));
  EXPECT_EQ(sluice({"audit", "copy"}).exit_code, 0);  // prepared again from the corpus
  fs::remove_all(path("prepared"));
  fs::rename(path("text.txt"), path("elsewhere.txt"));
  const Outcome outcome = sluice({"audit", "copy"});
  EXPECT_EQ(outcome.exit_code, 66);
  EXPECT_NE(outcome.err.find("no prepared data, and "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("prepare it with `sluice prepare copy/cells/"), std::string::npos);
}

// Runs of earlier versions have no hashes. Those of a version that seals its runs have lost them.
TEST_F(AuditTest, ReadsComparisonsWithoutSeals) {
  start_over();
  change_record(cell("relu-seed-1"), [](compare::CellRecord& record) { record.seal.reset(); });
  write_report();
  expect_fault("cell.json: seal: received none; expected one, since ");
  start_over();
  for (const fs::directory_entry& entry : fs::directory_iterator(path("copy/cells"))) {
    auto json = nlohmann::ordered_json::parse(content(entry.path() / "cell.json"));
    json.erase("seal");
    json.erase("plan");
    json["build"] = "0.0.9 (old)";
    std::ofstream(entry.path() / "cell.json") << json.dump(2) << "\n";
  }
  fs::remove(path("copy/seal.txt"));
  write_report();
  EXPECT_FALSE(fs::exists(path("copy/seal.txt")));
  EXPECT_NE(read("copy/table.md").find("seal: none; 4 runs without a seal"), std::string::npos);
  const Outcome outcome = sluice({"audit", "copy", "--seed", "1", "--json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["unsealed_cells"], 4);
  EXPECT_TRUE(outcome.json()["seal"].is_null());
  // What does not need a seal is found anyway.
  change_number(cell("relu-seed-2") + "/run/metrics.jsonl",
                "\"step\":6,\"eval\":{\"log_perplexity\":", "1.5");
  expect_fault("log_perplexity 1.5 of step 6; expected ");
}

class TunedAuditTest : public TwoVariantsTest {};

// Tuning decides what is compared, so its runs and its choice are checked as well.
TEST_F(TunedAuditTest, TuningIsPartOfTheAudit) {
  const Outcome outcome =
      sluice({"compare", "compare.yaml", "--jobs", "2", "--set", "corpus.tune_holdout=0.2",
              "compare.tune={optimizer.lr: [1e-3, 3e-3], seeds: [101]}"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  ASSERT_EQ(sluice({"audit", "two"}).exit_code, 0);
  const auto faults_after = [&](const std::function<void()>& change) {
    fs::remove_all(path("original"));
    fs::copy(path("two"), path("original"), fs::copy_options::recursive);
    change();
    const Outcome audit = sluice({"audit", "two"});
    EXPECT_EQ(audit.exit_code, 65);
    fs::remove_all(path("two"));
    fs::rename(path("original"), path("two"));
    return audit.err;
  };
  const fs::path run = fs::directory_iterator(path("two/tune"))->path();
  EXPECT_NE(faults_after([&] {
              const std::string file = (run / "run" / "result.json").string();
              std::string text = read_file(file);
              const std::size_t at = text.find("\"log_perplexity\":") + 17;
              std::ofstream(file) << text.replace(at, 1, "1");
            }).find("result.json: received "),
            std::string::npos);
  EXPECT_NE(faults_after([&] {
              std::optional<compare::CellRecord> record = compare::read_record(run / "cell.json");
              record->build = record->seal->program = "0.0.9 (old)";
              record->seal->executable = std::string(64, '0');
              record->seal->digest = sha256_of(compare::seal_lines(*record));
              compare::write_record(*record, run / "cell.json");
            }).find("seed 101: received runs by 0.0.9 (old) and by "),
            std::string::npos);
  EXPECT_NE(faults_after([&] {
              std::optional<compare::CellRecord> record = compare::read_record(run / "cell.json");
              record->state = compare::CellState::kDiverged;
              compare::write_record(*record, run / "cell.json");
            }).find("cell.json: received "),
            std::string::npos);
  EXPECT_NE(faults_after([&] {
              fs::remove_all(path("two/tune"));
            }).find("expected the result of a run in tune/"),
            std::string::npos);
  EXPECT_NE(faults_after([&] {
              auto json = nlohmann::ordered_json::parse(read("two/comparison.json"));
              json["tuning"][0]["chosen"] = !json["tuning"][0]["chosen"];
              json["tuning"][1]["chosen"] = !json["tuning"][1]["chosen"];
              std::ofstream(path("two/comparison.json")) << json;
            }).find("better than the chosen "),
            std::string::npos);
}

class EvalOverlapTest : public ShortRunTest {};

// Against result.json and overlap.json.
TEST_F(EvalOverlapTest, LeavesOutDocumentsOfTheTrainingText) {
  const std::string text = read("text.txt");
  write("valid.txt", text.substr(2000, 1500) + "\n\n" + "Quite other words, zebra xylophone.\n\n" +
                         "Nothing of it stands above: jumping quivering vexed wizards.\n");
  train({"tiny.yaml", "--set", "corpus.valid=[valid.txt]"});
  const auto result = nlohmann::json::parse(read("run/result.json"));
  nlohmann::json overlap;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path("prepared")))
    if (entry.path().filename() == "overlap.json")
      overlap = nlohmann::json::parse(content(entry.path()));
  ASSERT_EQ(overlap["valid"].size(), result["documents"].size());
  double nats = 0, num_targets = 0;
  std::size_t num_left_out = 0;
  for (std::size_t i = 0; i < result["documents"].size(); ++i) {
    const double tokens = overlap["valid"][i][0], contained = overlap["valid"][i][1];
    if (contained > 0.5 * tokens) {
      ++num_left_out;
      continue;
    }
    nats += result["documents"][i][0].get<double>();
    num_targets += result["documents"][i][1].get<double>();
  }
  ASSERT_GT(num_left_out, 0U);
  ASSERT_GT(num_targets, 0);
  const auto json = sluice({"eval", "run", "--json"}).json();
  EXPECT_EQ(json["num_documents_left_out"], num_left_out);
  EXPECT_NEAR(json["log_perplexity_without_overlap"].get<double>(), nats / num_targets, 1e-9);
  EXPECT_EQ(sluice({"eval", "run", "--overlap-above", "1", "--json"}).json()["log_perplexity"],
            json["log_perplexity"]);
  EXPECT_EQ(sluice({"train", "tiny.yaml", "--fresh", "--set", "corpus.valid=[valid.txt]",
                    "corpus.max_overlap=0.1"})
                .exit_code,
            65);
}

TEST_F(EvalOverlapTest, SaysThatNoTextIsLeft) {
  write("valid.txt", read("text.txt").substr(2000, 1500) + " Zebra xylophone, jumping wizards.\n");
  train({"tiny.yaml", "--set", "corpus.valid=[valid.txt]"});
  const Outcome outcome = sluice({"eval", "run", "--overlap-above", "0.1"});
  EXPECT_NE(outcome.out.find("\nwithout overlap  no text left, leaving out "), std::string::npos)
      << outcome.out << outcome.err;
}

}  // namespace
}  // namespace sluice::app
