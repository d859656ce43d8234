#include "tests/run/session_support.h"

#include <filesystem>

#include "base/file.h"
#include "base/signals.h"
#include "store/checkpoint_store.h"
#include "tests/train/train_support.h"

namespace sluice::run::test {

SessionTest::SessionTest() {
  std::filesystem::copy_file(std::filesystem::path(SLUICE_SOURCE_DIR) / "LICENSE",
                             directory_ / "text.txt");
}

SessionTest::~SessionTest() { clear_stop(); }

SessionOptions SessionTest::options(const std::string& run) const {
  SessionOptions options{.config = train::test::small_config()};
  train::RunConfig& config = options.config;
  config.run.dir = (directory_ / run).string();
  config.corpus.train = {(directory_ / "text.txt").string()};
  config.corpus.holdout = 0.2;
  config.corpus.prepared_dir = (directory_ / "prepared").string();
  config.model = train::test::small_decoder(64);
  config.train.steps = 20;
  config.train.sequence_length = 32;
  options.mode = store::StartMode::kResume;
  return options;
}

std::string SessionTest::file(const std::string& run, std::int64_t step,
                              const std::string& name) const {
  return read_file(directory_ / run / "checkpoints" / store::checkpoint_name(step) / name);
}

void SessionTest::expect_equal_runs(const std::string& a, const std::string& b,
                                    std::int64_t step) const {
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "train_state.json",
                           "config.yaml", "tokenizer.json"})
    EXPECT_TRUE(file(a, step, name) == file(b, step, name)) << name << " of " << a << " and " << b;
  EXPECT_EQ(train::test::metrics_without_time(directory_ / a / "metrics.jsonl"),
            train::test::metrics_without_time(directory_ / b / "metrics.jsonl"));
}

}  // namespace sluice::run::test
