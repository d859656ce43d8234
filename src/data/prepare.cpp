#include <algorithm>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "base/version.h"
#include "data/block_encoder.h"
#include "data/corpus_checks.h"
#include "data/holdout.h"
#include "data/overlap.h"
#include "data/preparation.h"
#include "data/prepared_folder.h"
#include "data/sample.h"
#include "data/shard.h"
#include "data/split_reader.h"
#include "text/utf8.h"

namespace sluice::data {

namespace {

// Input of every stage.
struct Job {
  const PrepareSettings& settings;
  const Inputs& inputs;
  const std::filesystem::path& directory;
  const std::string& fingerprint;

  const text::CorpusConfig& corpus() const { return settings.corpus; }
  bool has_valid_files() const { return !inputs.valid.empty(); }
  const std::vector<InputFile>& files_of(Split split) const {
    return split == Split::kValid && has_valid_files() ? inputs.valid : inputs.train;
  }
};

// Removes the temporaries of a killed process; the lock excludes other writers.
void remove_temporaries(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> leftover;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().filename().native().find(".tmp-") != std::string::npos)
      leftover.push_back(entry.path());
  }
  for (const auto& path : leftover) real_files().remove_all(path);
}

// ---- hold-out ----

template <class Each>
void each_block(const std::vector<InputFile>& files, const text::CorpusConfig& corpus,
                const Each& each) {
  text::FaultReport ignored;  // counted once, when the blocks are encoded
  const text::BlockVisitor visitor{.block =
                                       [&](std::string_view text, std::uint64_t) {
                                         throw_if_stopped("preparing data");
                                         each(text);
                                       },
                                   .end_of_document = [] {}};
  for (const InputFile& file : files) text::for_each_block(file.path, corpus, ignored, visitor);
}

// The blocks of the training files that are excluded from training.
struct HeldOut {
  Holdout valid = Holdout::none(), tune = Holdout::none();

  Split split_of(std::string_view text) const {
    const Hash128 hash = holdout_hash(text);
    if (tune.contains(hash)) return Split::kTune;
    return valid.contains(hash) ? Split::kValid : Split::kTrain;
  }
};

HeldOut choose_held_out(const Job& job) {
  const double share = job.corpus().holdout, tune = job.corpus().tune_holdout;
  if (job.has_valid_files()) return {.tune = Holdout::fraction(tune)};
  if (share < 1)
    return {.valid = Holdout::fraction(share), .tune = Holdout::between(share, share + tune)};
  LowestHashes lowest(static_cast<std::uint64_t>(share));
  each_block(job.inputs.train, job.corpus(),
             [&](std::string_view text) { lowest.add(holdout_hash(text)); });
  return {.valid = lowest.holdout()};
}

// After the first pass over the held-out files.
OverlapFinder overlap_finder(const Job& job) {
  OverlapFinder overlap;
  each_block(job.inputs.valid, job.corpus(),
             [&](std::string_view text) { overlap.add_held_out(text); });
  overlap.sort();
  return overlap;
}

// ---- tokenizer ----

std::unique_ptr<text::Tokenizer> trained_tokenizer(const Job& job,
                                                   const text::SentencePieceConfig& config,
                                                   const HeldOut& held_out) {
  const auto path = job.directory / "tokenizer.model";
  if (std::filesystem::exists(path)) {
    try {
      return text::load_tokenizer(path);  // trained by an earlier process that was stopped
    } catch (const UserError& error) {
      if (error.code() != ExitCode::kBadData) throw;
    }
  }
  // The suffix array of the unigram trainer takes 25 bytes per byte of text; the limit keeps this
  // within the memory of small machines.
  constexpr std::int64_t kMaxUnigramSample = 8 << 20;
  const bool unigram = config.algorithm == text::Algorithm::kUnigram;
  const std::int64_t max_sample =
      unigram ? std::min(config.max_sample.count, kMaxUnigramSample) : config.max_sample.count;
  TextSample sample(static_cast<std::uint64_t>(max_sample));
  each_block(job.inputs.train, job.corpus(), [&](std::string_view text) {
    if (held_out.split_of(text) == Split::kTrain) sample.add(text);
  });
  const std::vector<std::string> texts = std::move(sample).take();
  require(!texts.empty(), ExitCode::kBadData, "corpus.train", "no training text for the tokenizer");
  const double start_s = monotonic_s();
  auto tokenizer = text::train_sentencepiece(config, texts);
  log::info(cat("trained a tokenizer of ", tokenizer->vocab_size(), " pieces in ",
                human_duration(monotonic_s() - start_s)));
  return tokenizer;
}

std::unique_ptr<text::Tokenizer> make_tokenizer(const Job& job, const HeldOut& held_out) {
  if (auto given = text::load_given_tokenizer(job.settings.tokenizer)) return given;
  return trained_tokenizer(job, std::get<text::SentencePieceConfig>(job.settings.tokenizer),
                           held_out);
}

void store_tokenizer(const text::Tokenizer& tokenizer, const std::filesystem::path& directory) {
  const auto path = directory / tokenizer.file_name();
  if (std::filesystem::exists(path) && read_file(path) == tokenizer.serialized()) return;
  real_files().write_atomically(path, tokenizer.serialized());
}

// ---- encoding ----

struct EncodedSplit {
  PreparedSplit split;
  text::FaultReport faults;
  std::uint64_t num_blocks = 0;  // of the files, including those of other splits
};

// Writes the blocks accepted by `select` as shards; the faults of all blocks go to `report`.
PreparedSplit write_split(const Job& job, const text::Tokenizer& tokenizer, Split which,
                          decltype(SplitRequest::select) select, text::FaultReport& report) {
  const std::string_view name = split_name(which);
  ShardWriter writer(real_files(),
                     {.directory = job.directory,
                      .split = std::string(name),
                      .vocab_size = static_cast<std::uint64_t>(tokenizer.vocab_size()),
                      .fingerprint = job.fingerprint});
  SplitRequest request{.files = {},
                       .corpus = job.corpus(),
                       .select = std::move(select),
                       .start = writer.position(),
                       .tokenizer = &tokenizer};
  for (const InputFile& file : job.files_of(which)) request.files.push_back(file.path);
  if (request.start.counts.num_tokens > 0) {
    log::info(cat("continuing after ",
                  with_commas(static_cast<std::int64_t>(request.start.counts.num_tokens)),
                  " tokens of ", name));
  }
  BlockEncoder encoder(tokenizer, job.corpus().separator, job.settings.num_threads, request.start,
                       [&](std::span<const std::int32_t> ids, const SplitPosition& after) {
                         writer.add(ids, after);
                       });
  std::uint64_t num_bytes = 0, next_report = 0;
  read_split(request, report, [&](SplitItem item) {
    num_bytes += item.text.size();
    if (num_bytes >= next_report) {
      log::progress(cat("encoding ", name, ": ", human_bytes(num_bytes)));
      next_report = num_bytes + (4 << 20);
    }
    encoder.add(std::move(item));
  });
  encoder.finish();
  writer.finish();
  std::vector<std::string> hashes;
  for (const auto& path : writer.shards())
    hashes.push_back(read_shard_header(path).payload_hash.hex());
  return prepared_split(writer.position().counts, std::move(hashes));
}

// All blocks of the training files are added to `overlap`, whatever their split.
EncodedSplit encode_split(const Job& job, const text::Tokenizer& tokenizer, Split which,
                          const HeldOut& held_out, OverlapFinder& overlap) {
  const bool own_files = which == Split::kValid && job.has_valid_files();
  const bool first_pass = which == Split::kTrain || own_files;
  const bool may_hold_boundary = first_pass && tokenizer.file_name() == "tokenizer.model";
  EncodedSplit encoded;
  const auto select = [&](std::string_view text, const std::filesystem::path& file,
                          std::uint64_t offset) {
    encoded.num_blocks += 1;
    const std::size_t at =
        may_hold_boundary ? text.find(text::kWordBoundary) : std::string_view::npos;
    if (at != std::string_view::npos)
      encoded.faults.add("U+2581", file.string(), offset + at,
                         text::count_occurrences(text, text::kWordBoundary));
    if (which == Split::kTrain && job.has_valid_files()) overlap.add_training(text);
    return own_files || held_out.split_of(text) == which;
  };
  encoded.split = write_split(job, tokenizer, which, select, encoded.faults);
  // Another pass over the training files finds the same faults again, except for uncertain cuts.
  if (!first_pass)
    std::erase_if(encoded.faults.faults,
                  [](const auto& fault) { return fault.first != kUncertainCuts; });
  return encoded;
}

PerSplit<EncodedSplit> encode_splits(const Job& job, const text::Tokenizer& tokenizer,
                                     const HeldOut& held_out, OverlapFinder& overlap) {
  PerSplit<EncodedSplit> splits;
  for (const Split split : kSplits) {
    if (split == Split::kTune && job.corpus().tune_holdout == 0) continue;
    splits[split] = encode_split(job, tokenizer, split, held_out, overlap);
  }
  return splits;
}

// ---- checks ----

void check_splits(const Job& job, const PerSplit<EncodedSplit>& splits) {
  const text::CorpusConfig& corpus = job.corpus();
  const std::uint64_t num_train_blocks = splits[Split::kTrain].num_blocks;
  const auto num_files = [](const std::vector<InputFile>& files) {
    return count_of(static_cast<std::int64_t>(files.size()), "file");
  };
  require(num_train_blocks > 0, ExitCode::kBadData, "corpus.train",
          cat("no documents in ", num_files(job.inputs.train), "; check corpus.format"));
  const std::string num_documents =
      count_of(static_cast<std::int64_t>(num_train_blocks), "document");
  const double share = (job.has_valid_files() ? 0 : corpus.holdout) + corpus.tune_holdout;
  require(splits[Split::kTrain].split.tokens > 0, ExitCode::kBadData,
          job.has_valid_files() ? "corpus.tune_holdout" : "corpus.holdout",
          cat(shortest(share), " (holds out all of ", num_documents, ")"),
          "a smaller share, or more text");
  require(corpus.tune_holdout == 0 || splits[Split::kTune].split.tokens > 0, ExitCode::kBadData,
          "corpus.tune_holdout",
          cat(shortest(corpus.tune_holdout), " of ", num_documents, " (holds out none)"),
          "a larger share, or more documents");
  if (splits[Split::kValid].split.tokens > 0) return;
  require(!job.has_valid_files(), ExitCode::kBadData, "corpus.valid",
          cat("no documents in ", num_files(job.inputs.valid), "; check corpus.format"));
  require(corpus.holdout == 0, ExitCode::kBadData, "corpus.holdout",
          cat(shortest(corpus.holdout), " of ", num_documents, " (holds out none)"),
          "a larger share, more documents, or files in corpus.valid");
}

// Rejects held-out text that is entirely training text.
Overlap count_overlap(const Job& job, OverlapFinder& overlap) {
  if (overlap.is_full()) fail_full_overlap("only text of the training files");
  if (!overlap.any()) return {};
  text::FaultReport ignored;
  const text::BlockVisitor visitor{
      .block = [&](std::string_view text, std::uint64_t) { overlap.count(text); },
      .end_of_document = [&] { overlap.end_document(); }};
  for (const InputFile& file : job.inputs.valid)
    text::for_each_block(file.path, job.corpus(), ignored, visitor);
  return overlap.overlap();
}

// ---- manifest ----

PreparedManifest manifest_of(const Job& job, const text::Tokenizer& tokenizer,
                             const PerSplit<EncodedSplit>& splits, const Overlap& overlap) {
  PreparedManifest manifest;
  manifest.fingerprint = job.fingerprint;
  manifest.program = version();
  manifest.tokenizer = {std::string(tokenizer.file_name()), tokenizer.hash().hex()};
  text::FaultReport faults;
  for (const Split split : kSplits) {
    manifest.splits[std::string(split_name(split))] = splits[split].split;
    faults.merge(splits[split].faults);
  }
  manifest.set_overlap(overlap);
  manifest.faults = std::move(faults.faults);
  return manifest;
}

std::string tokens_in_words(const PreparedManifest& manifest, bool with_tune) {
  std::vector<std::string> parts;
  for (const Split split : kSplits) {
    if (split == Split::kTune && !with_tune) continue;
    parts.push_back(cat(with_commas(static_cast<std::int64_t>(manifest.split(split).tokens)), " ",
                        split_words(split)));
  }
  std::string counts;
  for (std::size_t i = 0; i < parts.size(); ++i)
    counts += cat(i == 0 ? "" : i + 1 < parts.size() ? ", " : " and ", parts[i]);
  return counts;
}

}  // namespace

PreparedManifest run_preparation(const PrepareSettings& settings, const Inputs& inputs,
                                 const std::filesystem::path& directory,
                                 const std::string& fingerprint) {
  const double start_s = monotonic_s();
  const Job job{settings, inputs, directory, fingerprint};
  real_files().create_directories(directory);
  remove_temporaries(directory);
  OverlapFinder overlap = overlap_finder(job);
  const HeldOut held_out = choose_held_out(job);
  const std::unique_ptr<text::Tokenizer> tokenizer = make_tokenizer(job, held_out);
  if (!tokenizer->lossless())
    log::warn("the tokenizer is lossy: decoding does not always restore the text");
  store_tokenizer(*tokenizer, directory);
  const PerSplit<EncodedSplit> splits = encode_splits(job, *tokenizer, held_out, overlap);
  check_splits(job, splits);
  const Overlap found = count_overlap(job, overlap);
  check_unchanged(inputs.train);
  check_unchanged(inputs.valid);
  PreparedManifest manifest = manifest_of(job, *tokenizer, splits, found);
  log::end_progress();
  log::info(cat("prepared ", tokens_in_words(manifest, settings.corpus.tune_holdout != 0),
                " tokens in ", human_duration(monotonic_s() - start_s)));
  return manifest;
}

}  // namespace sluice::data
