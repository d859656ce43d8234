#include <iostream>
#include <optional>

#include "app/commands.h"
#include "app/figures.h"
#include "app/outputs.h"
#include "app/run_argument.h"
#include "base/error.h"
#include "base/log.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "config/names.h"
#include "data/corpus_checks.h"
#include "data/prepared.h"
#include "data/token_overlap.h"
#include "eval/perplexity.h"
#include "ops/cuda.h"
#include "run/open_checkpoint.h"
#include "train/batches.h"

namespace sluice::app {
namespace {

// The figure over the documents with little overlap (data/token_overlap.h).
struct WithoutOverlap {
  std::uint64_t num_left_out = 0;
  std::optional<double> log_perplexity;  // nullopt if nothing is left
};

struct Result {
  eval::Perplexity perplexity;
  std::int64_t step = 0;
  bool lossless = true;
  std::optional<WithoutOverlap> without_overlap{};
};

void check_stride(const EvalOptions& options, const train::ResolvedRun& run) {
  if (options.stride == 0) return;
  if (!run.objective->has_stride())
    fail(ExitCode::kUsage, "--stride", cat(options.stride),
         cat("no stride, since the segments of ", data::kind_of(run.config.objective),
             " do not overlap"));
  const std::int64_t length = run.objective->segment_length();
  if (options.stride > length)
    fail(ExitCode::kUsage, "--stride", cat(options.stride),
         cat("a value up to the sequence length ", length));
}

text::Format format_of(const std::string& name) {
  for (const auto& [format, known] : text::names_of(text::Format{}))
    if (known == name) return format;
  fail(ExitCode::kUsage, "--format", printable(name), "text, lines, paragraphs or jsonl");
}

// The text of --data must fill one segment.
void check_length(const EvalOptions& options, const data::Objective& objective,
                  std::uint64_t num_tokens) {
  const auto length = static_cast<std::uint64_t>(objective.segment_length());
  const std::string source = objective.segment_length_source();
  if (source.empty() || num_tokens >= length) return;
  const std::size_t num_files = options.data.size();
  fail(ExitCode::kBadData,
       cat("--data ", options.data.front(),
           num_files > 1 ? cat(" and ", num_files - 1, " more") : ""),
       cat(num_tokens, " tokens"), cat("at least ", length, " tokens, one segment for ", source));
}

// Encodes --data, read with the corpus settings of the run unless --format overrides them.
data::EncodedText encode(const EvalOptions& options, const run::OpenedCheckpoint& opened) {
  text::CorpusConfig corpus = opened.run.config.corpus;
  if (!options.format.empty()) corpus.format = format_of(options.format);
  if (!options.text_field.empty()) {
    require(corpus.format == text::Format::kJsonl, ExitCode::kUsage, "--text-field",
            cat("format `", config::name_of(corpus.format), "`"),
            "--format jsonl, the only format with fields");
    corpus.text_field = options.text_field;
  }
  try {
    return data::encode_files(options.data, corpus, *opened.tokenizer,
                              static_cast<int>(opened.run.threads));
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
    throw UserError(
        error.code(),
        cat(error.what(), " (--data is read as `", config::name_of(corpus.format),
            "`; select another format with --format text, lines, paragraphs or jsonl)"));
  }
}

// nullopt if only a part of the set was scored.
std::optional<WithoutOverlap> without_overlap(const EvalOptions& options,
                                              const run::OpenedCheckpoint& opened,
                                              const data::PreparedData& prepared,
                                              const eval::Perplexity& perplexity) {
  const data::OverlapRecord record =
      data::overlap_of(prepared, static_cast<int>(opened.run.threads));
  const bool is_tune = train::split_of(opened.run.config.evaluate.split) == data::Split::kTune;
  const std::vector<data::DocumentOverlap>& overlaps = is_tune ? record.tune : record.valid;
  if (perplexity.documents.size() != overlaps.size()) return std::nullopt;
  WithoutOverlap result;
  double nats = 0;
  std::uint64_t num_targets = 0;
  for (std::size_t i = 0; i < overlaps.size(); ++i) {
    if (overlaps[i].share() > options.overlap_above) {
      ++result.num_left_out;
      continue;
    }
    nats += perplexity.documents[i].nats;
    num_targets += perplexity.documents[i].num_targets;
  }
  if (num_targets > 0) result.log_perplexity = nats / static_cast<double>(num_targets);
  return result;
}

Result evaluate(const EvalOptions& options) {
  check_run_argument(options.run);
  require(!options.data.empty() || (options.format.empty() && options.text_field.empty()),
          ExitCode::kUsage, options.format.empty() ? "--text-field" : "--format",
          "requires --data FILE, since the held-out set is already prepared");
  const run::OpenedCheckpoint opened = open_run_argument(options.run, options.allow_older);
  check_stride(options, opened.run);
  const auto measure = [&](const data::TokenStream& stream, const data::SplitCounts& counts) {
    const auto batches = train::make_evaluation_batches(
        opened.run, stream, *opened.tokenizer,
        {.max_tokens = static_cast<std::uint64_t>(options.max_tokens), .stride = options.stride});
    eval::Perplexity perplexity = eval::measure_perplexity(
        *opened.model, *batches, train::counts_of_targets(*opened.run.objective, counts),
        opened.device, ops::inference_context(opened.device));
    perplexity.num_bytes = counts.num_bytes;
    perplexity.num_words = counts.num_words;
    return perplexity;
  };
  Result result;
  result.step = opened.state.progress.step;
  result.lossless = opened.tokenizer->lossless();
  if (options.data.empty()) {
    const data::PreparedData prepared = run::open_data(opened);
    const train::HeldOut text = train::held_out(opened.run.config, prepared);
    require(text.stream.num_tokens() > 0, ExitCode::kUsage, options.run,
            "no held-out data; pass --data FILE");
    if (train::split_of(opened.run.config.evaluate.split) == data::Split::kValid)
      data::warn_of_overlap(prepared.overlap, prepared.counts[data::Split::kValid]);
    text.stream.verify();  // do not score corrupted tokens
    result.perplexity = measure(text.stream, text.counts);
    result.without_overlap = without_overlap(options, opened, prepared, result.perplexity);
  } else {
    const data::EncodedText text = encode(options, opened);
    check_length(options, *opened.run.objective, text.stream.num_tokens());
    result.perplexity = measure(text.stream, text.counts);
  }
  return result;
}

// The numbers of bytes and words are unknown for a part of the set.
std::optional<std::uint64_t> of_whole(const eval::Perplexity& p, std::uint64_t count) {
  return p.whole ? std::optional(count) : std::nullopt;
}

}  // namespace

void eval_command(const EvalOptions& options) {
  const StopNotice notice("stopping after this batch");
  const Result result = evaluate(options);
  const eval::Perplexity& p = result.perplexity;
  const std::optional<WithoutOverlap>& without = result.without_overlap;
  if (options.json) {
    std::cout << config::to_json(EvalOutput{
        .figures = p.figures,
        .num_tokens = p.num_tokens,
        .num_bytes = of_whole(p, p.num_bytes),
        .num_words = of_whole(p, p.num_words),
        .num_unknown = p.num_unknown,
        .num_dropped_tokens = p.num_dropped_tokens,
        .lossless = result.lossless,
        .step = result.step,
        .overlap_above = options.overlap_above,
        .num_documents_left_out = without ? std::optional(without->num_left_out) : std::nullopt,
        .log_perplexity_without_overlap = without ? without->log_perplexity : std::nullopt});
    return;
  }
  std::cout << "step             " << with_commas(result.step) << "\nlog_perplexity   "
            << fixed(*p.figures.log_perplexity, 4) << " nats per token\n"
            << "perplexity       "
            << perplexity_text(*p.figures.perplexity, 3).value_or("not finite") << "\n";
  if (p.figures.bits_per_byte)
    std::cout << "bits_per_byte    " << fixed(*p.figures.bits_per_byte, 4) << "\n";
  if (const auto per_word =
          p.figures.word_perplexity ? perplexity_text(*p.figures.word_perplexity, 2) : std::nullopt)
    std::cout << "word_perplexity  " << *per_word << "\n";
  if (without && without->num_left_out > 0)
    std::cout << "without overlap  "
              << (without->log_perplexity ? fixed(*without->log_perplexity, 4) + " nats per token"
                                          : "no text left")
              << ", leaving out "
              << count_of(static_cast<std::int64_t>(without->num_left_out), "document")
              << " of which more than " << shortest(100 * options.overlap_above)
              << " % is in the training text\n";
  std::cout << "num_tokens       " << with_commas(static_cast<std::int64_t>(p.num_tokens)) << "\n";
  if (p.whole)
    std::cout << "num_bytes        " << with_commas(static_cast<std::int64_t>(p.num_bytes)) << "\n";
  if (p.num_dropped_tokens > 0)
    std::cout << "not scored       " << with_commas(static_cast<std::int64_t>(p.num_dropped_tokens))
              << " tokens, the tail shorter than one segment\n";
  if (!result.lossless) {
    std::cout << "lossless         false: the tokenizer changes text, so bits_per_byte and "
                 "word_perplexity are not comparable across tokenizers; "
              << with_commas(static_cast<std::int64_t>(p.num_unknown)) << " unknown tokens\n";
  }
}

}  // namespace sluice::app
