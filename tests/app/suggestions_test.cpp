// Names used by other programs, other spellings and other sections: the message suggests the Sluice
// name with its full path.
#include <algorithm>

#include "app/comparison_config.h"
#include "config/aliases.h"
#include "config/config.h"
#include "config/suggest.h"
#include "tests/app/program.h"

namespace sluice::app {
namespace {

class Suggestions : public ProgramTest {};

TEST(Aliases, NameExistingKeysAndValues) {
  const config::KeyPaths keys(config::describe<ComparisonConfig>());
  const std::string schema = config::json_schema<ComparisonConfig>();
  for (const config::Alias& alias : config::aliases()) {
    const std::string ours(alias.name);
    if (alias.kind == config::AliasKind::kKey) {
      EXPECT_TRUE(keys.has(ours)) << ours;
    }
    if (alias.kind == config::AliasKind::kValue && ours != "cuda") {
      EXPECT_NE(schema.find('"' + ours + '"'), std::string::npos) << ours;
    }
  }
}

TEST_F(Suggestions, EveryAliasedOptionExists) {
  std::string help;
  for (const char* command : {"train", "prepare", "eval", "generate", "plan", "verify", "compare"})
    help += sluice_in_fork({command, "--help"}).out;
  for (const config::Alias& alias : config::aliases()) {
    if (alias.kind != config::AliasKind::kOption) continue;
    EXPECT_NE(help.find(std::string(alias.name) + " "), std::string::npos) << alias.name;
  }
}

TEST_F(Suggestions, CommandsOfOtherPrograms) {
  const std::vector<std::pair<std::string, std::string>> words = {
      {"sample", "`generate`"}, {"resume", "`train`"}, {"evaluate", "`eval`"},
      {"test", "`eval`"},       {"help", "`--help`"},  {"trian", "`train`"}};
  for (const auto& [word, suggestion] : words) {
    const Outcome outcome = sluice_in_fork({word});
    EXPECT_EQ(outcome.exit_code, 2) << word;
    EXPECT_NE(outcome.err.find("did you mean " + suggestion), std::string::npos) << outcome.err;
  }
  const std::string help = sluice_in_fork({"--help"}).out;
  for (const config::Alias& alias : config::aliases()) {
    if (alias.kind != config::AliasKind::kCommand) continue;
    EXPECT_NE(help.find("\n  " + std::string(alias.name) + " "), std::string::npos) << alias.name;
  }
}

// Each key is passed as --set; `ours` must be suggested.
TEST_F(Suggestions, KeysOfOtherPrograms) {
  write("c.yaml", "train: {steps: 3}\n");
  const std::vector<std::pair<std::string, std::string>> keys = {
      {"hidden_size", "model.d_model"},
      {"model.hidden_size", "model.d_model"},
      {"hiddenSize", "model.d_model"},
      {"n_layer", "model.num_layers"},
      {"num_hidden_layers", "model.num_layers"},
      {"n_head", "model.num_heads"},
      {"num_attention_heads", "model.num_heads"},
      {"intermediate_size", "model.d_ff"},
      {"max_steps", "train.steps"},
      {"train.max_iters", "train.steps"},
      {"learning_rate", "optimizer.lr"},
      {"train.learning-rate", "optimizer.lr"},
      {"lr", "optimizer.lr"},
      {"batch_size", "train.batch_sequences"},
      {"train.batch_size", "train.batch_sequences"},
      {"block_size", "train.sequence_length"},
      {"max_seq_len", "train.sequence_length"},
      {"context_length", "train.sequence_length"},
      {"weight_decay", "optimizer.weight_decay"},
      {"warmup", "schedule.warmup_steps"},
      {"dropout", "model.dropout"},
      {"vocab_size", "tokenizer.vocab_size` or `model.vocab_size"},
      {"model.activation", "model.ffn"},
      {"field", "corpus.text_field"},
      {"corpus.field", "corpus.text_field"},
      {"d_ff", "model.d_ff"},
      {"train.d_ff", "model.d_ff"},
      {"seed", "run.seed"},
      {"steps", "train.steps"},
      {"output_dir", "run.dir"},
      {"eps", "model.norm.eps` or `optimizer.eps"},
      {"model.norm.epsilon", "model.norm.eps"},
      {"optimizer.epsilon", "optimizer.eps"},
      {"eval_interval", "evaluate.every_steps"},
      {"save_steps", "checkpoint.every_steps"},
      {"grad_clip", "optimizer.clip_norm"},
      {"vary", "compare.vary"},
      {"sequence_lenght", "train.sequence_length"},
      {"D_MODEL", "model.d_model"}};
  std::vector<std::string> arguments = {"config", "check", "c.yaml", "--set"};
  for (const auto& [key, ours] : keys) arguments.push_back(key + "=1");
  const Outcome outcome = sluice_in_fork(arguments);
  EXPECT_EQ(outcome.exit_code, 2);
  for (const auto& [key, ours] : keys) {
    const std::size_t at = outcome.err.find("--set: " + key + ": unknown key");
    ASSERT_NE(at, std::string::npos) << key << outcome.err;
    const std::string line = outcome.err.substr(at, outcome.err.find('\n', at) - at);
    EXPECT_TRUE(line.ends_with("(did you mean `" + ours + "`?)")) << line;
  }
}

TEST_F(Suggestions, ValuesOfOtherProgramsAndSpellings) {
  write("c.yaml", "train: {steps: 3}\n");
  const std::vector<std::pair<std::string, std::string>> values = {
      {"model.ffn=SwiGLU", "swiglu"},
      {"model.ffn=GeGLU", "geglu"},
      {"model.ffn=silu", "swish"},
      {"model.ffn=SiLU", "swish"},
      {"model.ffn=geglu_tanh", "geglu"},
      {"model.ffn=gelu_new", "gelu"},
      {"model.ffn=gated-gelu", "geglu"},
      {"model.ffn=relu^2", "squared_relu"},
      {"model.norm.type=RMSNorm", "rmsnorm"},
      {"model.norm.type=LayerNorm", "layernorm"},
      {"model.position.type=rotary", "rope"},
      {"optimizer.type=Adam", "adamw"},
      {"optimizer.type=AdamW", "adamw"},
      {"schedule.type=cosine_with_warmup", "cosine"},
      {"train.precision=bfloat16", "bf16"},
      {"train.precision=float32", "fp32"},
      {"corpus.format=json", "jsonl"},
      {"tokenizer.type=spm", "sentencepiece"},
      {"objective.type=clm", "causal_lm"},
      {"model.type=gpt2", "decoder"},
      {"optimizer=adam", "{type: adamw}"},
      {"train.divergence.policy=Halt", "halt"}};
  for (const auto& [setting, ours] : values) {
    const Outcome outcome = sluice_in_fork({"config", "check", "c.yaml", "--set", setting});
    EXPECT_EQ(outcome.exit_code, 2) << setting;
    EXPECT_NE(outcome.err.find("(did you mean `" + ours + "`?)"), std::string::npos)
        << setting << " " << outcome.err;
  }
}

TEST_F(Suggestions, OptionsOfOtherPrograms) {
  struct Case {
    std::vector<std::string> arguments;
    std::string name, suggestion;
  };
  const std::vector<Case> cases = {
      {{"train", "c.yaml", "--steps", "5"}, "--steps", "--set train.steps=VALUE"},
      {{"train", "c.yaml", "--steps=5"}, "--steps", "--set train.steps=5"},
      {{"train", "c.yaml", "--max-steps=5"}, "--max-steps", "--set train.steps=5"},
      {{"train", "c.yaml", "--lr", "1e-3"}, "--lr", "--set optimizer.lr=VALUE"},
      {{"train", "c.yaml", "--model.ffn=geglu"}, "--model.ffn", "--set model.ffn=geglu"},
      {{"train", "--config", "c.yaml"}, "--config", "sluice train FILE"},
      {{"plan", "-c", "c.yaml"}, "-c", "sluice plan FILE"},
      {{"train", "c.yaml", "--output-dir", "x"}, "--output-dir", "--run-dir"},
      {{"train", "c.yaml", "--run_dir", "x"}, "--run_dir", "--run-dir"},
      {{"train", "c.yaml", "--overwrite"}, "--overwrite", "--fresh"},
      {{"train", "c.yaml", "--continue"}, "--continue", "--resume"},
      {{"compare", "c.yaml", "--dryrun"}, "--dryrun", "--dry-run"},
      {{"compare", "c.yaml", "-j", "4"}, "-j", "--jobs"},
      {{"generate", "run", "--prompt", "x", "--max-new-tokens", "5"},
       "--max-new-tokens",
       "--tokens"},
      {{"generate", "run", "--prompt", "x", "--top_k=5"}, "--top_k", "--top-k"},
      {{"generate", "run", "--text", "x"}, "--text", "--prompt"}};
  for (const Case& one : cases) {
    const Outcome outcome = sluice_in_fork(one.arguments);
    EXPECT_EQ(outcome.exit_code, 2) << one.name;
    EXPECT_TRUE(outcome.err.starts_with("error: " + one.name + ": unknown option (did you mean `" +
                                        one.suggestion + "`?)"))
        << outcome.err;
  }
  const Outcome bare = sluice_in_fork({"train", "c.yaml", "train.steps=5"});
  EXPECT_EQ(bare.exit_code, 2);
  EXPECT_TRUE(bare.err.starts_with(
      "error: train.steps=5: received a setting without --set; expected `--set train.steps=5`"))
      << bare.err;
}

}  // namespace
}  // namespace sluice::app
