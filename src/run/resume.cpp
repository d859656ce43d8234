#include "run/resume.h"

#include <optional>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "config/config.h"
#include "data/source_check.h"
#include "run/places.h"
#include "train/resolve.h"

namespace sluice::run {
namespace {

using train::RunConfig;

constexpr std::string_view kNewRun = "for a new run, use --fresh or another --run-dir";

std::string listed(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) text += cat(text.empty() ? "" : ", ", path);
  return printable(cat('[', text, ']'), 300);
}

std::string value_of(const RunConfig& config, const std::string& key) {
  if (key == "tokenizer.model")
    return tokenizer_model_path(config).empty() ? "none"
                                                : printable(tokenizer_model_path(config), 300);
  return listed(key == "corpus.valid" ? config.corpus.valid : config.corpus.train);
}

// Checkpoints contain no paths; shows those of the run's own configuration and of the command.
void show_paths(config::Change& change, const std::optional<RunConfig>& own,
                const RunConfig& requested) {
  if (change.path != "tokenizer.model" && change.path != "corpus.valid") return;
  if (own) change.before = value_of(*own, change.path);
  change.after = value_of(requested, change.path);
}

// Throws if a change is refused, otherwise returns the changes.
std::vector<config::Change> accepted_changes(const store::RunPaths& run, const RunConfig& stored,
                                             const RunConfig& requested) {
  std::string refused;
  std::vector<config::Change> accepted;
  const std::optional<RunConfig> own = own_config(run);
  for (config::Change& change :
       config::changes(train::portable_config(stored), train::portable_config(requested))) {
    show_paths(change, own, requested);
    if (config::rule_of(change.affects).on_resume != config::OnResume::kRefused) {
      accepted.push_back(change);
      continue;
    }
    refused += cat(refused.empty() ? "" : "\n", change.path, ": received ", change.after,
                   "; expected ", change.before, ", as in the resumed run (", kNewRun, ")");
  }
  if (!refused.empty()) throw UserError(ExitCode::kUsage, refused);
  return accepted;
}

// Whether both have the same paths of text and tokenizer.
bool same_sources(const RunConfig& a, const RunConfig& b) {
  return a.corpus.train == b.corpus.train && a.corpus.valid == b.corpus.valid &&
         tokenizer_model_path(a) == tokenizer_model_path(b);
}

std::string describe_sources(const RunConfig& own) {
  std::string text = cat("corpus.train ", listed(own.corpus.train));
  if (!own.corpus.valid.empty()) text += cat(", corpus.valid ", listed(own.corpus.valid));
  if (!tokenizer_model_path(own).empty())
    text += cat(", tokenizer.model ", printable(tokenizer_model_path(own), 300));
  return text;
}

// Checks that text and tokenizer have the content that the run was started with. `is_prepared`: the
// prepared data exists, so missing files are accepted.
void check_sources(const ResumedRun& run, const RunConfig& written,
                   const data::PrepareSettings& settings, bool is_prepared) {
  const std::optional<RunConfig> own = own_config(run.paths);
  std::optional<std::string> changed;
  try {
    changed = data::find_changed_source(
        settings, {.fingerprint = run.state.fingerprint, .tokenizer_hash = run.tokenizer_hash});
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kMissingInput) throw;
    if (is_prepared && own && same_sources(*own, written))
      return log::info(
          cat("resume: corpus files are missing, using the prepared data (", error.what(), ")"));
    throw UserError(error.code(),
                    cat(error.what(),
                        own ? cat("; original content of the run: ", describe_sources(*own)) : ""));
  }
  if (!changed) return;
  const std::string_view what = *changed == "tokenizer.model" ? "tokenizer" : "text";
  const bool same_path = own && value_of(*own, *changed) == value_of(written, *changed);
  const std::string difference = same_path ? "content has changed since the run was started"
                                           : cat("not the original ", what, " of the run");
  fail(ExitCode::kBadData, *changed, cat(value_of(written, *changed), " (", difference, ")"),
       cat("the same ", what, " under any path",
           own && !same_path ? cat(", e.g. ", value_of(*own, *changed)) : "", " (", kNewRun, ")"));
}

}  // namespace

void check_changes(const store::RunPaths& run, const RunConfig& stored,
                   const RunConfig& requested) {
  for (const config::Change& change : accepted_changes(run, stored, requested))
    log::info(cat("resume: ", change.path, ": ", change.before, " -> ", change.after,
                  config::rule_of(change.affects).on_resume == config::OnResume::kExact
                      ? ""
                      : " (from here on not bit-equal to a run without this change)"));
}

void check_refused_changes(const store::RunPaths& run, const RunConfig& stored,
                           const RunConfig& written) {
  RunConfig requested = written;
  requested.train.steps = stored.train.steps;
  requested.train.tokens.reset();
  requested.train.epochs.reset();
  // The data is not read yet; values that depend on it are taken from the run.
  accepted_changes(
      run, stored,
      train::resolve(requested, {.vocab_size = 1, .windows_per_epoch = 1}, &stored).config);
}

void check_length(const RunConfig& written, std::int64_t steps, std::int64_t steps_done) {
  if (steps >= steps_done) return;
  const train::TrainConfig& c = written.train;
  const std::string_view key = c.tokens   ? "train.tokens"
                               : c.epochs ? "train.epochs"
                                          : "train.steps";
  const std::string value = c.tokens ? cat(*c.tokens) : c.epochs ? shortest(*c.epochs) : cat(steps);
  fail(ExitCode::kUsage, key, c.steps ? value : cat(value, " (", count_of(steps, "step"), ")"),
       cat("at least ", count_of(steps_done, "step"), ", as many as the run has finished (",
           kNewRun, ")"));
}

data::PreparedData open_data_of(const ResumedRun& run, const RunConfig& written,
                                std::int64_t num_threads) {
  const data::PrepareSettings settings{.corpus = written.corpus,
                                       .tokenizer = written.tokenizer,
                                       .num_threads = static_cast<int>(num_threads)};
  std::optional<data::PreparedData> prepared;
  try {
    prepared = data::open_prepared(written.corpus.prepared_dir, run.state.fingerprint);
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kMissingInput) throw;
    log::info(cat(error.what(), ": preparing again from the corpus"));
  }
  check_sources(run, written, settings, prepared.has_value());
  if (!prepared) prepared = data::prepare(settings);
  require(prepared->fingerprint == run.state.fingerprint, ExitCode::kBadData, "corpus",
          cat("fingerprint ", prepared->fingerprint),
          cat("fingerprint ", run.state.fingerprint,
              ", from the original text and settings of the run"));
  return *std::move(prepared);
}

}  // namespace sluice::run
