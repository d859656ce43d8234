#include "data/prepared.h"

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "data/block_encoder.h"
#include "data/corpus_checks.h"
#include "data/fingerprint.h"
#include "data/folder_lock.h"
#include "data/preparation.h"
#include "data/prepared_folder.h"
#include "data/split_reader.h"
#include "data/token_overlap.h"

namespace sluice::data {

namespace {

// The inputs, fingerprint and directory of the prepared data, which need not exist yet.
struct Located {
  std::filesystem::path cache, directory;
  std::string settings, fingerprint;
  Inputs inputs;
};

// Requires read access only: the hash cache, the only file written, is optional.
Located locate(const PrepareSettings& settings) {
  const std::filesystem::path root = settings.corpus.prepared_dir;
  Located located{
      .cache = root / "cache", .directory = {}, .settings = {}, .fingerprint = {}, .inputs = {}};
  const auto train_paths =
      text::expand_paths(settings.corpus.train, "corpus.train", settings.notes);
  const auto valid_paths =
      text::expand_paths(settings.corpus.valid, "corpus.valid", settings.notes);
  require(!train_paths.empty(), ExitCode::kUsage, "corpus.train", "[]",
          "at least one file, directory or glob");
  const std::optional<GivenModel> given_model = given_model_of(settings.tokenizer);
  Inputs& inputs = located.inputs;
  inputs.train = hash_inputs(train_paths, located.cache / "hashes.json", real_files());
  inputs.valid = hash_inputs(valid_paths, located.cache / "hashes.json", real_files());
  refuse_equal_files(inputs);
  located.settings = token_settings(settings, given_model);
  located.fingerprint = fingerprint_of(located.settings, inputs.train, inputs.valid);
  located.directory = root / located.fingerprint;
  return located;
}

void prepare_folder(const PrepareSettings& settings, const Located& located) {
  real_files().create_directories(located.cache);
  const StopNotice notice("finishing the current block; prepared data is kept");
  const FolderLock lock(located.cache / (located.fingerprint + ".lock"));
  if (is_finished(located.directory)) return;  // finished by another process while we waited
  const Inputs& inputs = located.inputs;
  log::info(
      cat("preparing ",
          count_of(static_cast<std::int64_t>(inputs.train.size() + inputs.valid.size()), "file"),
          " in ", located.directory.string()));
  PreparedManifest manifest =
      run_preparation(settings, inputs, located.directory, located.fingerprint);
  manifest.settings = located.settings;
  for (const std::vector<InputFile>* files : {&inputs.train, &inputs.valid})
    for (const InputFile& file : *files)
      manifest.files.push_back({file.path.string(), file.size_bytes, file.hash});
  write_manifest(manifest, located.directory, real_files());
  warn_of_faults({manifest.faults});
}

PreparedData open_checked(const Located& located, const PrepareSettings& settings) {
  const PreparedManifest manifest = read_manifest(located.directory);
  refuse_full_overlap(manifest);
  if (settings.notes == text::Notes::kLog) warn_of_splits(manifest, settings.corpus);
  return open_folder(located.directory);
}

}  // namespace

PreparedData prepare(const PrepareSettings& settings) {
  const Located located = locate(settings);
  const bool is_new = !is_finished(located.directory);
  if (is_new) prepare_folder(settings, located);
  PreparedData data = open_checked(located, settings);
  if (is_new || settings.corpus.max_overlap < 1) {
    const OverlapTotals totals = totals_of(overlap_of(data, settings.num_threads).valid);
    if (is_new && totals.num_contained > 0) log::info(overlap_words(totals));
    check_max_overlap(totals, settings.corpus);
  }
  return data;
}

std::optional<PreparedData> find_prepared(const PrepareSettings& settings) {
  const Located located = locate(settings);
  if (!is_finished(located.directory)) return std::nullopt;
  return open_checked(located, settings);
}

bool has_prepared(const std::filesystem::path& prepared_dir, const std::string& fingerprint) {
  return is_finished(prepared_dir / fingerprint);
}

PreparedData open_prepared(const std::filesystem::path& prepared_dir,
                           const std::string& fingerprint) {
  const bool plain = fingerprint.size() == 32 &&
                     fingerprint.find_first_not_of("0123456789abcdef") == std::string::npos;
  require(plain, ExitCode::kBadData, "fingerprint", printable(fingerprint), "32 hex digits");
  const std::filesystem::path directory = prepared_dir / fingerprint;
  require(is_finished(directory), ExitCode::kMissingInput, directory.string(),
          "no prepared data; restore this directory, or the corpus to prepare it again");
  return open_folder(directory);
}

EncodedText encode_files(const std::vector<std::string>& paths, const text::CorpusConfig& corpus,
                         const text::Tokenizer& tokenizer, int num_threads) {
  std::vector<std::int32_t> ids;
  std::vector<std::uint64_t> document_ends;
  SplitPosition position;
  BlockEncoder encoder(tokenizer, corpus.separator, num_threads, {},
                       [&](std::span<const std::int32_t> some, const SplitPosition& after) {
                         ids.insert(ids.end(), some.begin(), some.end());
                         if (after.counts.num_documents > position.counts.num_documents)
                           document_ends.push_back(ids.size());
                         position = after;
                       });
  text::FaultReport faults;
  const auto all = [](std::string_view, const std::filesystem::path&, std::uint64_t) {
    return true;
  };
  read_split({.files = text::expand_paths(paths, "--data"),
              .corpus = corpus,
              .select = all,
              .start = {},
              .tokenizer = &tokenizer},
             faults, [&](SplitItem item) { encoder.add(std::move(item)); });
  encoder.finish();
  require(!ids.empty(), ExitCode::kBadData, "--data", "no documents; check --format");
  warn_of_faults(faults);
  return {.stream = TokenStream(std::move(ids), std::move(document_ends)),
          .counts = position.counts};
}

}  // namespace sluice::data
