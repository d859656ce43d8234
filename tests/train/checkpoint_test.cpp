#include "train/checkpoint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "config/config.h"
#include "store/safetensors.h"
#include "tests/train/train_support.h"
#include "train/resolve.h"

namespace sluice::train {
namespace {

namespace fs = std::filesystem;
using test::error_of;

RunConfig some_config(at::ScalarType compute, const optim::OptimizerConfig& optimizer) {
  RunConfig config = test::small_config();
  config.optimizer = optimizer;
  config.model = test::small_decoder(40);
  config.train.precision = compute == at::kFloat ? Precision::kFp32 : Precision::kBf16;
  return resolve(config, {.vocab_size = 257, .windows_per_epoch = 10}).config;
}

// A model and an optimizer with nonzero state.
struct Trained {
  explicit Trained(std::uint64_t seed, at::ScalarType compute = at::kFloat,
                   const optim::OptimizerConfig& chosen = test::small_config().optimizer)
      : config(some_config(compute, chosen)), tokenizer(text::make_bytes_tokenizer()) {
    model = model::make_model(config.model, 257, 8);
    model->parameters().allocate(at::kCPU, compute, true);
    model->parameters().initialize(seed);
    optimizer = optim::make_optimizer(config.optimizer, model->parameters());
    for (std::uint64_t step = 0; step < 2; ++step) {
      for (const auto& parameter : model->parameters().named())
        at::Tensor(parameter.gradient).copy_(parameter.value * static_cast<double>(seed + step));
      optimizer->update({.lr = 0.01, .loss = at::full({}, 1.0, at::kDouble)});
    }
  }
  Savable savable() const { return {model->parameters(), *optimizer, *tokenizer, config}; }
  std::vector<at::Tensor> tensors() const {
    std::vector<at::Tensor> all{model->parameters().master().clone(),
                                model->parameters().compute().clone()};
    for (const auto& state : optimizer->state()) all.push_back(state.tensor.clone());
    return all;
  }

  RunConfig config;
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::unique_ptr<model::LanguageModel> model;
  std::unique_ptr<optim::Optimizer> optimizer;
};

class CheckpointTest : public ::testing::Test {
 protected:
  store::Checkpoint save(const Trained& trained, std::int64_t step = 7) {
    CheckpointState state;
    state.progress.step = step;
    state.fingerprint = "f";
    store::CheckpointStore store(directory_ / "checkpoints");
    store.save(step, checkpoint_files(trained.savable(), state),
               checkpoint_notes(trained.savable(), state));
    return *store.newest_valid();
  }
  sluice::testing::TemporaryDirectory directory_;
};

class EveryOptimizer : public CheckpointTest,
                       public ::testing::WithParamInterface<optim::OptimizerConfig> {};

TEST_P(EveryOptimizer, RestoresEveryBit) {
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    const Trained from(1, compute, GetParam()), to(2, compute, GetParam());
    const store::Checkpoint saved = save(from, compute == at::kFloat ? 1 : 2);
    restore(saved.directory, to.model->parameters(), *to.optimizer);
    const auto expected = from.tensors(), got = to.tensors();
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_TRUE(at::equal(got[i], expected[i])) << i;
    EXPECT_EQ(read_state(saved.directory).progress.step, saved.manifest.step);
    EXPECT_EQ(read_tokenizer(saved)->hash(), from.tokenizer->hash());
    EXPECT_TRUE(
        config::changes(read_config(saved.directory), portable_config(from.config)).empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizers, EveryOptimizer,
                         ::testing::Values(optim::AdamWConfig{},
                                           optim::AdamWConfig{.scale_by_rms = true},
                                           optim::AdafactorConfig{},
                                           optim::AdafactorConfig{.factored_min_dim = 24},
                                           optim::MuonConfig{}),
                         [](const auto& test) { return std::to_string(test.index); });

TEST_F(CheckpointTest, HoldsMasterWeightsByLogicalNameWithoutPaddedRows) {
  const Trained trained(1, at::kBFloat16);
  const store::Checkpoint saved = save(trained);
  const MappedFile file(saved.directory / "model.safetensors");
  const store::Tensors tensors = store::parse_safetensors(file.bytes(), "model.safetensors");
  EXPECT_EQ(tensors.all.size(), trained.model->parameters().specs().size());
  EXPECT_EQ(tensors.at("embedding.weight").shape, (std::vector<std::int64_t>{257, 24}));
  EXPECT_EQ(tensors.at("blocks.0.attention.q.weight").shape, (std::vector<std::int64_t>{24, 24}));
  for (const auto& view : tensors.all) EXPECT_EQ(view.dtype, store::Dtype::kF32) << view.name;
  EXPECT_TRUE(tensors.metadata.empty());
}

// Checkpoints contain no paths or times.
TEST_F(CheckpointTest, TheSameStateInAnotherDirectoryGivesTheSameBytes) {
  Trained here(1), there(1);
  there.config.run.dir = "/elsewhere/run";
  there.config.corpus.train = {"/elsewhere/text"};
  there.config.corpus.prepared_dir = "/elsewhere/prepared";
  const store::Checkpoint a = save(here, 1), b = save(there, 2);
  for (std::size_t i = 0; i < a.manifest.files.size(); ++i) {
    EXPECT_EQ(a.manifest.files[i].name, b.manifest.files[i].name);
    if (a.manifest.files[i].name != "train_state.json") {
      EXPECT_EQ(a.manifest.files[i].hash, b.manifest.files[i].hash) << a.manifest.files[i].name;
    }
  }
}

TEST_F(CheckpointTest, PredictsItsSize) {
  const Trained trained(1);
  std::uint64_t size = 0;
  for (const auto& entry : fs::recursive_directory_iterator(save(trained).directory))
    size += entry.file_size();
  const std::uint64_t predicted = checkpoint_bytes(trained.savable());
  EXPECT_GE(predicted, size);
  EXPECT_LE(predicted, size + (512 << 10));
}

// Factored and full statistics of Adafactor have different names, so another factored_min_dim does
// not fit.
TEST_F(CheckpointTest, RejectsStatisticsOfAnotherKind) {
  const Trained factored(1, at::kFloat, optim::AdafactorConfig{.factored_min_dim = 24}),
      full(1, at::kFloat, optim::AdafactorConfig{});
  const store::Checkpoint saved = save(factored);
  const std::string message = error_of(ExitCode::kBadData, [&] {
    restore(saved.directory, full.model->parameters(), *full.optimizer);
  });
  EXPECT_NE(message.find("exp_avg_sq"), std::string::npos) << message;
}

// Invalid content with a matching manifest.
TEST_F(CheckpointTest, RejectsInvalidContent) {
  const Trained trained(1);
  const Trained to(2);
  const auto before = to.tensors();
  const store::Checkpoint saved = save(trained);
  const auto refuses = [&](const std::string& name, const std::string& content,
                           const std::function<void()>& read) {
    const std::string original = read_file(saved.directory / name);
    std::ofstream(saved.directory / name, std::ios::binary) << content;
    const std::string message = error_of(ExitCode::kBadData, read);
    EXPECT_NE(message.find(name), std::string::npos) << message;
    std::ofstream(saved.directory / name, std::ios::binary) << original;
  };
  const auto load = [&] { restore(saved.directory, to.model->parameters(), *to.optimizer); };
  const std::string model = read_file(saved.directory / "model.safetensors"),
                    optimizer = read_file(saved.directory / "optimizer.safetensors");
  refuses("model.safetensors", optimizer, load);
  refuses("model.safetensors", model.substr(0, model.size() - 4), load);
  refuses("optimizer.safetensors", model, load);
  std::string not_a_count = optimizer;  // num_updates comes last
  not_a_count.replace(not_a_count.size() - 8, 8, std::string("\0\0\0\0\0\0\xF8\x7F", 8));
  refuses("optimizer.safetensors", not_a_count, load);
  refuses("train_state.json", "{}", [&] { read_state(saved.directory); });
  refuses("config.yaml", "model: {type: house}", [&] { read_config(saved.directory); });
  refuses("tokenizer.json", "{}", [&] { read_tokenizer(saved); });
  load();
  EXPECT_FALSE(at::equal(before[0], to.tensors()[0]));
}

TEST(PortableConfig, RemovesPathsOnly) {
  RunConfig config = test::small_config();
  config.tokenizer = text::SentencePieceConfig{.model = "/somewhere/tokenizer.model"};
  config.corpus.valid = {"/somewhere/else"};
  const RunConfig portable = portable_config(config);
  EXPECT_EQ(config::to_yaml(portable).find("/somewhere"), std::string::npos);
  for (const config::Change& change : config::changes(config, portable))
    EXPECT_TRUE(change.path == "corpus.train" || change.path == "corpus.valid" ||
                change.path == "tokenizer.model")
        << change.path;
  EXPECT_TRUE(config::changes(portable, portable_config(portable)).empty());
}

}  // namespace
}  // namespace sluice::train
