#include "interop/import_huggingface.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/machine.h"
#include "base/text_format.h"
#include "base/version.h"
#include "config/config.h"
#include "data/prepared.h"
#include "interop/config_json.h"
#include "interop/staged_directory.h"
#include "interop/start_token.h"
#include "interop/tensors.h"
#include "interop/tokenizer_files.h"
#include "ops/torch_compat.h"
#include "optim/optimizer.h"
#include "run/fit_micro_batch.h"
#include "run/run_record.h"
#include "train/batches.h"
#include "train/checkpoint.h"
#include "train/execution.h"
#include "train/resolve.h"

namespace sluice::interop {
namespace {

namespace fs = std::filesystem;
using model::EncoderDecoderConfig;
using train::RunConfig;

constexpr std::uint64_t kMaxConfigBytes = 16 << 20;

// A model as read, before its weights.
struct Read {
  HuggingFaceConfig config;
  ReadTokenizer tokenizer;
};

// The multiple to which T5's rows are rounded up from the ids in use.
std::int64_t pad_multiple(std::int64_t used, std::int64_t rows) {
  const auto rounded = [&](std::int64_t multiple) {
    return (used + multiple - 1) / multiple * multiple;
  };
  for (std::int64_t multiple = 128; multiple <= model::kMaxWidth; multiple *= 2)
    if (rounded(multiple) == rows) return multiple;
  for (std::int64_t multiple = 64; multiple > 1; multiple /= 2)
    if (rounded(multiple) == rows) return multiple;
  return used == rows ? 1 : rows <= model::kMaxWidth ? rows : 0;
}

void fit_vocabulary(const std::string& source, const text::Tokenizer& tokenizer,
                    HuggingFaceConfig& config) {
  const ModelFacts& facts = config.facts;
  const std::int64_t pieces = tokenizer.vocab_size();
  auto* t5 = std::get_if<EncoderDecoderConfig>(&config.model);
  const std::int64_t used = pieces + (t5 != nullptr ? facts.num_sentinels : 0);
  if (facts.vocab_rows < used)
    fail(ExitCode::kBadData, cat(source, ": vocab_size"), cat(facts.vocab_rows),
         t5 == nullptr ? cat("at least ", pieces, ", the pieces of the tokenizer")
                       : cat("at least ", used, ", the ", pieces, " pieces of the tokenizer and ",
                             facts.num_sentinels, " extra_ids"));
  if (t5 == nullptr) return;
  t5->pad_vocab_multiple = pad_multiple(used, facts.vocab_rows);
  if (t5->pad_vocab_multiple == 0)
    fail(ExitCode::kBadData, cat(source, ": vocab_size"), cat(facts.vocab_rows),
         cat(used, " or a number up to ", std::int64_t(model::kMaxWidth),
             " or padded to a power of two"));
  const std::int32_t start = train::start_id(tokenizer);
  if (facts.decoder_start.value_or(start) != start)
    fail(ExitCode::kBadData, cat(source, ": decoder_start_token_id"), cat(*facts.decoder_start),
         cat(start, ", the pad or end token of the tokenizer"));
}

// The end token of the tokenizer is the one that ends a text here.
void check_end_token(const std::string& source, const text::Tokenizer& tokenizer,
                     const std::vector<std::int64_t>& end_tokens) {
  if (end_tokens.empty()) return;
  const std::optional<std::int32_t> eos = tokenizer.eos();
  if (eos && std::find(end_tokens.begin(), end_tokens.end(), *eos) != end_tokens.end()) return;
  std::string received;
  for (const std::int64_t id : end_tokens) received += cat(received.empty() ? "" : ", ", id);
  fail(ExitCode::kBadData, cat(source, ": eos_token_id"), received,
       !eos                     ? "null, since the tokenizer has no end token"
       : end_tokens.size() == 1 ? cat(*eos, ", the end token of the tokenizer")
                                : cat("a list with ", *eos, ", the end token of the tokenizer"));
}

// Puts the start token of a decoder into its tokenizer.
void add_start_token(const ModelFiles& files, const HuggingFaceConfig& config,
                     ReadTokenizer& read) {
  if (std::holds_alternative<EncoderDecoderConfig>(config.model)) return;
  const std::optional<std::int64_t> id = config.facts.bos;
  const std::optional<std::string> token = find_start_token(files.tokenizer, *read.tokenizer, id);
  if (!token) return;
  read = with_start(std::move(read), *token);
  const std::optional<std::int32_t> bos = read.tokenizer->bos();
  if (bos && id && *id != *bos)
    fail(ExitCode::kBadData, cat(files.config.string(), ": bos_token_id"), cat(*id),
         cat(*bos, ", `", printable(*token), "`, which the tokenizer puts before a text"));
}

Read read_model(const ModelFiles& files) {
  const std::string source = files.config.string();
  Read read{read_config_json(read_file(files.config, kMaxConfigBytes), source),
            read_tokenizer_file(files.tokenizer)};
  if (read.tokenizer.num_sentinels > 0)
    read.config.facts.num_sentinels = read.tokenizer.num_sentinels;
  check_end_token(source, *read.tokenizer.tokenizer, read.config.end_tokens);
  add_start_token(files, read.config, read.tokenizer);
  fit_vocabulary(source, *read.tokenizer.tokenizer, read.config);
  return read;
}

// Without --config: enough for `eval`, `generate` and `export`.
RunConfig plain_config(const Read& read) {
  RunConfig config;
  const ModelFacts& facts = read.config.facts;
  config.corpus.train = {"none"};
  config.train.steps = 1;
  config.train.precision = train::Precision::kFp32;
  if (std::holds_alternative<EncoderDecoderConfig>(read.config.model)) {
    config.objective = data::SpanCorruptionConfig{.input_length = facts.context_length,
                                                  .sentinels = facts.num_sentinels};
    config.corpus.separator = text::Separator::kNone;
  } else {
    config.train.sequence_length = facts.context_length;
  }
  return config;
}

// Without --config, whatever is wrong comes from the model.
RunConfig checked_config(const RunConfig& config, bool is_given) {
  try {
    return config::parse<RunConfig>(config::to_yaml(config, config::Comments::kNone),
                                    "configuration with the imported model");
  } catch (const UserError& error) {
    if (is_given) throw;
    throw UserError(ExitCode::kBadData, error.what());
  }
}

// The configuration of the run: checked again, because its model has been replaced.
RunConfig config_of(const ImportRequest& request, const Read& read) {
  RunConfig config = request.config ? *request.config : plain_config(read);
  config.run.dir = request.out.string();
  if (!request.config) config.run.name = fs::absolute(request.out).filename().string();
  config.model = read.config.model;
  config.tokenizer = read.tokenizer.config;
  const RunConfig checked = checked_config(config, request.config.has_value());
  const std::int64_t sentinels = train::num_sentinels(checked);
  if (read.config.layout->model_type == "t5" && sentinels != read.config.facts.num_sentinels)
    fail(ExitCode::kUsage, "objective.sentinels", cat(sentinels),
         cat(read.config.facts.num_sentinels, ", as in the imported model"));
  return checked;
}

struct Data {
  std::optional<data::PreparedData> prepared;
  train::ResolvedRun run;
};

Data resolve(const ImportRequest& request, const RunConfig& config,
             const text::Tokenizer& tokenizer) {
  const std::int64_t num_threads = train::resolve_threads(config.train);
  train::use_threads(num_threads);
  train::DataFacts facts{.vocab_size = train::vocabulary(config, tokenizer)};
  if (!request.config) return {std::nullopt, train::resolve(config, facts)};
  data::PreparedData data = data::prepare({.corpus = config.corpus,
                                           .tokenizer = config.tokenizer,
                                           .num_threads = static_cast<int>(num_threads)});
  facts.windows_per_epoch = train::make_training_batches(config, data)->windows_per_epoch();
  train::ResolvedRun run = train::resolve(
      config, facts, nullptr, run::micro_batch_rule(facts.vocab_size, run::Probe::kRun));
  return {std::move(data), std::move(run)};
}

std::unique_ptr<model::LanguageModel> declare(const RunConfig& config,
                                              const text::Tokenizer& tokenizer) {
  return model::make_model(config.model, train::vocabulary(config, tokenizer),
                           train::sequences_of(config, train::start_id(tokenizer)));
}

run::RunRecord record_of(const ImportRequest& request, const Data& data,
                         const ops::Parameters& parameters, const text::Tokenizer& tokenizer) {
  const Machine& cpu = machine();
  run::RunRecord record{
      .name = data.run.config.run.name,
      .sluice = {.version = std::string(version()), .revision = std::string(git_revision())},
      .libtorch = ops::torch_version(),
      .machine = {cpu.cpu_model, cpu.features(), cpu.num_cpus, cpu.memory_bytes},
      .threads = data.run.threads,
      .device = data.run.device,
      .repeatable = data.run.is_repeatable(),
      .command = request.command_line,
      .working_directory = fs::current_path().string(),
      .started = utc_timestamp(),
      .num_parameters = parameters.num_parameters(),
      .tokenizer = {.file = std::string(tokenizer.file_name()), .hash = tokenizer.hash().hex()}};
  if (data.prepared)
    record.data = {.fingerprint = data.prepared->fingerprint,
                   .directory = data.prepared->directory.string()};
  return record;
}

// Step 0, as a run that has not trained yet.
void save(const fs::path& root, const train::Savable& savable, const std::string& fingerprint) {
  const train::CheckpointState state{.fingerprint = fingerprint};
  store::CheckpointStore checkpoints(store::RunPaths{root}.checkpoints());
  checkpoints.require_space(train::checkpoint_bytes(savable));
  checkpoints.save(0, train::checkpoint_files(savable, state),
                   train::checkpoint_notes(savable, state));
}

}  // namespace

Imported import_huggingface(const ImportRequest& request) {
  const Read read = read_model(request.files);
  const text::Tokenizer& tokenizer = *read.tokenizer.tokenizer;
  const WeightFiles files(request.files.weights);
  const RunConfig config = config_of(request, read);
  const Layout& layout = *read.config.layout;
  check_tensors(layout, files, declare(config, tokenizer)->parameters(),
                read.config.facts.vocab_rows);
  StagedDirectory directory(request.out, "--out");
  const Data data = resolve(request, config, tokenizer);
  const std::unique_ptr<model::LanguageModel> model = declare(data.run.config, tokenizer);
  ops::Parameters& parameters = model->parameters();
  parameters.allocate(c10::kCPU, c10::kFloat, /*with_gradients=*/true);
  import_tensors(layout, files, parameters);
  const std::unique_ptr<optim::Optimizer> optimizer =
      optim::make_optimizer(data.run.config.optimizer, parameters, /*device=*/nullptr);
  {
    const store::RunLock lock(directory.temporary());
    save(directory.temporary(), {parameters, *optimizer, tokenizer, data.run.config},
         data.prepared ? data.prepared->fingerprint : "");
    directory.write("run.json", config::to_json(record_of(request, data, parameters, tokenizer)));
    directory.write("metrics.jsonl", "");
    directory.write("config.yaml", config::to_yaml(data.run.config));
  }
  directory.commit();
  return {.class_name = std::string(layout.class_name),
          .num_parameters = parameters.num_parameters()};
}

}  // namespace sluice::interop
