#include "tests/interop/interop_support.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "base/shell.h"
#include "base/text_format.h"
#include "config/config.h"
#include "interop/export_source.h"
#include "model/decoding.h"
#include "ops/cuda.h"
#include "optim/optimizer.h"
#include "tests/model/model_support.h"
#include "train/batches.h"
#include "train/checkpoint.h"

namespace sluice::interop::test {
namespace {

constexpr std::int64_t kPieces = 360;

const text::Tokenizer& tokenizer() {
  static const std::unique_ptr<text::Tokenizer> trained = [] {
    const std::vector<std::string> sample{
        content(std::filesystem::path(SLUICE_SOURCE_DIR) / "LICENSE")};
    return text::train_sentencepiece({.vocab_size = kPieces}, sample);
  }();
  return *trained;
}

train::RunConfig parse(std::string_view model, std::string_view rest) {
  const std::string yaml =
      cat("{model: {num_layers: 2, d_model: 32, num_heads: 4, d_ff: 48, ", model, "}, ", rest,
          ", corpus: {train: [none], separator: none}, evaluate: {every_steps: never}}");
  return config::parse<train::RunConfig>(yaml, "test");
}

}  // namespace

train::RunConfig decoder(std::string_view model) {
  return parse(model, cat("train: {steps: 1, sequence_length: ", kContext, "}"));
}

train::RunConfig encoder_decoder(std::string_view model) {
  return parse(cat("type: encoder_decoder, ", model),
               cat("objective: {type: span_corruption, input_length: ", kContext,
                   ", sentinels: 20}, train: {steps: 1}"));
}

std::filesystem::path save_random(const train::RunConfig& written,
                                  const std::filesystem::path& root, const std::string& name) {
  const train::RunConfig config =
      train::resolve(written, {.vocab_size = train::vocabulary(written, tokenizer())}).config;
  const std::unique_ptr<model::LanguageModel> model =
      model::make_model(config.model, train::vocabulary(config, tokenizer()),
                        train::sequences_of(config, train::start_id(tokenizer())));
  model->parameters().allocate(c10::kCPU, c10::kFloat, /*with_gradients=*/true);
  // T5 does not divide its attention scores: larger weights would amplify rounding.
  const bool is_t5 = !model::shares_positions(config.model);
  model::test::fill_with_numbers(*model, is_t5 ? 0.15 : 0.25);
  const std::unique_ptr<optim::Optimizer> optimizer =
      optim::make_optimizer(config.optimizer, model->parameters(), nullptr);
  const train::Savable savable{model->parameters(), *optimizer, tokenizer(), config};
  store::CheckpointStore checkpoints(root / name / "checkpoints");
  checkpoints.save(0, train::checkpoint_files(savable, {}), train::checkpoint_notes(savable, {}));
  return checkpoints.directory() / "step-0";
}

std::vector<std::int64_t> greedy_tokens(const std::filesystem::path& checkpoint,
                                        const std::vector<std::int64_t>& prompt) {
  const at::NoGradGuard no_grad;
  const ExportSource source = open_source({.run = checkpoint});
  const std::vector<std::int32_t> inputs(prompt.begin(), prompt.end());
  constexpr std::int64_t kTokens = 64;
  const auto decoding =
      source.model->make_decoding(1, static_cast<std::int64_t>(inputs.size()) + kTokens);
  const std::optional<std::int32_t> start = source.model->start_id();
  decoding->start(0, start ? inputs : std::vector<std::int32_t>());
  std::vector<std::int32_t> next = start ? std::vector{*start} : inputs;
  std::vector<std::int64_t> tokens;
  while (tokens.size() < kTokens) {
    const std::vector<model::Feed> feeds{{.sequence = 0, .ids = next}};
    tokens.push_back(decoding->append(feeds).argmax(-1).item<std::int64_t>());
    next = {static_cast<std::int32_t>(tokens.back())};
  }
  return tokens;
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

void replace(const std::filesystem::path& path, const std::string& from, const std::string& to) {
  std::string text = content(path);
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error(path.string() + ": no " + from);
  write(path, text.replace(at, from.size(), to));
}

bool run_python(const std::string& python, const std::string& script,
                const std::vector<std::string>& arguments) {
  std::string command = cat("OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 ", python, " ",
                            SLUICE_SOURCE_DIR, "/tests/interop/", script);
  for (const std::string& argument : arguments) command += cat(" ", shell_word(argument));
  return std::system(command.c_str()) == 0;
}

}  // namespace sluice::interop::test
