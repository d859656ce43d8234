#include "interop/export_source.h"

#include <variant>

#include "base/error.h"
#include "base/text_format.h"
#include "eval/load_model.h"
#include "run/open_checkpoint.h"
#include "train/batches.h"

namespace sluice::interop {
namespace {

namespace fs = std::filesystem;

fs::path checkpoint_path(const ExportRequest& request) {
  if (!request.step) return request.run;
  const fs::path path =
      store::RunPaths{request.run}.checkpoints() / store::checkpoint_name(*request.step);
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return path;
  std::string steps;
  for (const std::int64_t step :
       store::CheckpointStore(store::RunPaths{request.run}.checkpoints()).steps())
    steps += cat(steps.empty() ? "" : ", ", step);
  fail(ExitCode::kMissingInput, "--checkpoint", cat(*request.step),
       steps.empty() ? cat("a step of a run; ", request.run.string(), " has no checkpoints")
                     : cat("a saved step: ", steps));
}

ModelFacts facts_of(const train::RunConfig& config, const text::Tokenizer& tokenizer) {
  const std::int64_t used = train::vocabulary(config, tokenizer);
  ModelFacts facts{
      .vocab_rows = used, .bos = tokenizer.bos(), .eos = tokenizer.eos(), .pad = tokenizer.pad()};
  const data::SequenceShape shape = train::sequence_shape(config);
  facts.context_length = shape.input_length;
  // A learned table may have more positions than the training windows.
  if (const auto limit = model::length_limit(config.model)) facts.context_length = limit->length;
  if (shape.shared) return facts;
  facts.vocab_rows =
      model::vocabulary_rows(std::get<model::EncoderDecoderConfig>(config.model), used);
  facts.num_sentinels = train::num_sentinels(config);
  facts.decoder_start = train::start_id(tokenizer);
  // The decoder of transformers shifts its targets by this id.
  facts.pad = facts.decoder_start;
  return facts;
}

}  // namespace

ExportSource open_source(const ExportRequest& request) {
  ExportSource source{.checkpoint = run::find_checkpoint(checkpoint_path(request))};
  const fs::path& directory = source.checkpoint.directory;
  std::error_code ignored;
  const fs::path root = fs::weakly_canonical(directory, ignored).parent_path().parent_path();
  if (store::is_run_directory(root)) source.run = store::RunPaths{root};
  source.state = train::read_state(directory);
  source.config = train::read_config(directory);
  source.tokenizer = train::read_tokenizer(source.checkpoint);
  source.facts = facts_of(source.config, *source.tokenizer);
  source.model = eval::load_model(
      source.config.model, train::vocabulary(source.config, *source.tokenizer),
      train::sequences_of(source.config, train::start_id(*source.tokenizer)),
      directory / "model.safetensors", {.device = c10::kCPU, .compute = c10::kFloat});
  return source;
}

}  // namespace sluice::interop
