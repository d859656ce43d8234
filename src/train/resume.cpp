#include "train/resume.h"

#include <optional>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "config/config.h"
#include "data/source_check.h"
#include "train/places.h"
#include "train/resolve.h"

namespace sluice::train {
namespace {

constexpr std::string_view kNewRun = "a new run: --fresh or another --run-dir";

std::string listed(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) text += cat(text.empty() ? "" : ", ", path);
  return printable(cat('[', text, ']'), 300);
}

std::string value_of(const RunConfig& config, const std::string& key) {
  if (key == "tokenizer.model") return given_model(config).empty() ? "none" : printable(given_model(config), 300);
  return listed(key == "corpus.valid" ? config.corpus.valid : config.corpus.train);
}

// A checkpoint has no paths: what stands for them there is shown as the run and the command name it.
void show_paths(config::Change& change, const std::optional<RunConfig>& own, const RunConfig& requested) {
  if (change.path != "tokenizer.model" && change.path != "corpus.valid") return;
  if (own) change.before = value_of(*own, change.path);
  change.after = value_of(requested, change.path);
}

// Throws for what is refused, and returns the rest.
std::vector<config::Change> accepted_changes(const store::RunPaths& run, const RunConfig& stored, const RunConfig& requested) {
  std::string refused;
  std::vector<config::Change> accepted;
  const std::optional<RunConfig> own = own_config(run);
  for (config::Change& change : config::changes(portable_config(stored), portable_config(requested))) {
    show_paths(change, own, requested);
    if (config::rule_of(change.affects).on_resume != config::OnResume::kRefused) {
      accepted.push_back(change);
      continue;
    }
    refused += cat(refused.empty() ? "" : "\n", change.path, ": received ", change.after, "; expected ", change.before,
                   ", as in the run that --resume continues (", kNewRun, ")");
  }
  if (!refused.empty()) throw UserError(ExitCode::kUsage, refused);
  return accepted;
}

// Whether both name their text and tokenizer alike.
bool same_sources(const RunConfig& a, const RunConfig& b) {
  return a.corpus.train == b.corpus.train && a.corpus.valid == b.corpus.valid && given_model(a) == given_model(b);
}

std::string own_sources(const RunConfig& own) {
  std::string text = cat("corpus.train ", listed(own.corpus.train));
  if (!own.corpus.valid.empty()) text += cat(", corpus.valid ", listed(own.corpus.valid));
  if (!given_model(own).empty()) text += cat(", tokenizer.model ", printable(given_model(own), 300));
  return text;
}

// Text and tokenizer are what the run was started with. `is_prepared`: so files that are gone need not be missed.
void check_sources(const ResumedRun& run, const RunConfig& written, const data::PrepareSettings& settings, bool is_prepared) {
  const std::optional<RunConfig> own = own_config(run.paths);
  std::optional<std::string> changed;
  try {
    changed = data::find_changed_source(settings, {.fingerprint = run.state.fingerprint, .tokenizer_hash = run.tokenizer_hash});
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kMissingInput) throw;
    if (is_prepared && own && same_sources(*own, written))
      return log::info(cat("resume: corpus files are gone, using the prepared data (", error.what(), ")"));
    throw UserError(error.code(),
                    cat(error.what(), own ? cat(" with the content that this run was started with (", own_sources(*own), ')') : ""));
  }
  if (!changed) return;
  const std::string_view what = *changed == "tokenizer.model" ? "tokenizer" : "text";
  const bool same_path = own && value_of(*own, *changed) == value_of(written, *changed);
  fail(ExitCode::kBadData, *changed,
       cat(value_of(written, *changed), same_path ? ", whose content has changed since this run was started"
                                                  : cat(", which is another ", what, " than this run was started with")),
       cat("the same ", what, " under any path", own && !same_path ? cat(", such as ", value_of(*own, *changed)) : "", " (", kNewRun, ")"));
}

}  // namespace

void check_changes(const store::RunPaths& run, const RunConfig& stored, const RunConfig& requested) {
  for (const config::Change& change : accepted_changes(run, stored, requested))
    log::info(cat("resume: ", change.path, ": ", change.before, " -> ", change.after,
                  config::rule_of(change.affects).on_resume == config::OnResume::kExact
                      ? ""
                      : " (from here on not bit-equal to a run without this change)"));
}

void check_refused_changes(const store::RunPaths& run, const RunConfig& stored, const RunConfig& written) {
  RunConfig requested = written;
  requested.train.steps = stored.train.steps;
  requested.train.tokens.reset();
  requested.train.epochs.reset();
  // What only the data knows is taken from the run.
  accepted_changes(run, stored, resolve(requested, {.vocab_size = 1, .windows_per_epoch = 1}, &stored).config);
}

void check_length(const RunConfig& written, std::int64_t steps, std::int64_t steps_done) {
  if (steps >= steps_done) return;
  const TrainConfig& c = written.train;
  const std::string_view key = c.tokens ? "train.tokens" : c.epochs ? "train.epochs" : "train.steps";
  const std::string value = c.tokens ? cat(*c.tokens) : c.epochs ? shortest(*c.epochs) : cat(steps);
  fail(ExitCode::kUsage, key, c.steps ? value : cat(value, ", which is ", count_of(steps, "step")),
       c.steps ? cat("at least ", count_of(steps_done, "step"), ", as many as this run has done (", kNewRun, ")")
               : cat("enough for the ", count_of(steps_done, "step"), " that this run has done (", kNewRun, ")"));
}

data::PreparedData open_data_of(const ResumedRun& run, const RunConfig& written, std::int64_t num_threads) {
  const data::PrepareSettings settings{
      .corpus = written.corpus, .tokenizer = written.tokenizer, .num_threads = static_cast<int>(num_threads)};
  std::optional<data::PreparedData> prepared;
  try {
    prepared = data::open_prepared(written.corpus.prepared_dir, run.state.fingerprint);
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kMissingInput) throw;
    log::info(cat(error.what(), ": preparing again from the corpus"));
  }
  check_sources(run, written, settings, prepared.has_value());
  if (!prepared) prepared = data::prepare(settings);
  require(prepared->fingerprint == run.state.fingerprint, ExitCode::kBadData, "corpus", cat("fingerprint ", prepared->fingerprint),
          cat("needs ", run.state.fingerprint, ", the text and settings that the run was started with"));
  return *std::move(prepared);
}

}  // namespace sluice::train
