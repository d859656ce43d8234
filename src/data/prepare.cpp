#include <algorithm>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "data/block_encoder.h"
#include "data/fingerprint.h"
#include "data/folder_lock.h"
#include "data/holdout.h"
#include "data/prepared.h"
#include "data/prepared_folder.h"
#include "data/sample.h"
#include "data/shard.h"
#include "data/split_reader.h"
#include "text/utf8.h"

namespace sluice::data {

namespace {

std::vector<std::filesystem::path> paths_of(const std::vector<InputFile>& files) {
  std::vector<std::filesystem::path> paths;
  for (const InputFile& file : files) paths.push_back(file.path);
  return paths;
}

// The work on one folder, from the corpus to prepared.json.
class Preparation {
 public:
  Preparation(const PrepareSettings& settings, std::vector<InputFile> train, std::vector<InputFile> valid, std::filesystem::path directory,
              std::string fingerprint)
      : settings_(settings),
        train_(std::move(train)),
        valid_(std::move(valid)),
        directory_(std::move(directory)),
        fingerprint_(std::move(fingerprint)) {}

  PreparedManifest run() {
    const double start_s = monotonic_s();
    files_.create_directories(directory_);
    remove_temporaries();
    choose_holdout();
    make_tokenizer();
    PreparedManifest manifest;
    manifest.train = encode_train();
    manifest.valid = encode_valid();
    if (settings_.corpus.tune_holdout > 0) manifest.tune = encode_part(Split::kTune, "tune");
    check_splits(manifest);
    check_unchanged(train_);
    check_unchanged(valid_);
    manifest.fingerprint = fingerprint_;
    manifest.tokenizer_file = tokenizer_->file_name();
    manifest.tokenizer_hash = tokenizer_->hash().hex();
    manifest.num_documents_in_both = num_in_both();
    manifest.faults = faults_;
    log::end_progress();
    const auto tokens_of = [](const PreparedSplit& split) { return with_commas(static_cast<std::int64_t>(split.counts.num_tokens)); };
    const std::string tune = settings_.corpus.tune_holdout > 0 ? cat(", ", tokens_of(manifest.tune), " for tuning") : "";
    log::info(cat("prepared ", tokens_of(manifest.train), " training and ", tokens_of(manifest.valid), " held-out tokens", tune, " in ",
                  human_duration(monotonic_s() - start_s)));
    return manifest;
  }

 private:
  // What a killed process left. The lock says that no other one is writing here.
  void remove_temporaries() {
    std::vector<std::filesystem::path> leftover;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      if (entry.path().filename().native().find(".tmp-") != std::string::npos) leftover.push_back(entry.path());
    }
    for (const auto& path : leftover) files_.remove_all(path);
  }

  template <class Each>
  void each_block(const std::vector<InputFile>& files, const Each& each) const {
    text::FaultReport ignored;  // counted once, when the blocks are encoded
    const text::BlockVisitor visitor{.block =
                                         [&](std::string_view text, std::uint64_t) {
                                           throw_if_stopped("preparing data");
                                           each(text);
                                         },
                                     .end_of_document = [] {}};
    for (const InputFile& file : files) text::for_each_block(file.path, settings_.corpus, ignored, visitor);
  }

  // What becomes of a block of the training files.
  enum class Split { kTrain, kValid, kTune };

  void choose_holdout() {
    const double share = settings_.corpus.holdout, tune = settings_.corpus.tune_holdout;
    if (!valid_.empty()) {
      each_block(valid_, [this](std::string_view text) { valid_hashes_.push_back(hash_of(text).low); });
      std::sort(valid_hashes_.begin(), valid_hashes_.end());
      in_both_.assign(valid_hashes_.size(), false);
      tune_ = Holdout::fraction(tune);
    } else if (share < 1) {
      holdout_ = Holdout::fraction(share);
      tune_ = Holdout::between(share, share + tune);
    } else {
      LowestHashes lowest(static_cast<std::uint64_t>(share));
      each_block(train_, [&](std::string_view text) { lowest.add(holdout_hash(text)); });
      holdout_ = lowest.holdout();
    }
  }

  Split split_of(std::string_view text) const {
    const Hash128 hash = holdout_hash(text);
    if (tune_.contains(hash)) return Split::kTune;
    return holdout_.contains(hash) ? Split::kValid : Split::kTrain;
  }

  void make_tokenizer() {
    const auto* pieces = std::get_if<text::SentencePieceConfig>(&settings_.tokenizer);
    if (pieces == nullptr) {
      tokenizer_ = text::make_bytes_tokenizer();
    } else if (pieces->model.has_value()) {
      tokenizer_ = text::load_tokenizer(*pieces->model);
    } else {
      tokenizer_ = trained_tokenizer(*pieces);
    }
    if (!tokenizer_->lossless()) log::warn("the tokenizer is lossy: decoding does not always give the text back");
    const auto path = directory_ / tokenizer_->file_name();
    if (!std::filesystem::exists(path) || read_file(path) != tokenizer_->serialized()) {
      files_.write_atomically(path, tokenizer_->serialized());
    }
  }

  std::unique_ptr<text::Tokenizer> trained_tokenizer(const text::SentencePieceConfig& config) const {
    const auto path = directory_ / "tokenizer.model";
    if (std::filesystem::exists(path)) {
      try {
        return text::load_tokenizer(path);  // of an earlier process that was stopped
      } catch (const UserError& error) {
        if (error.code() != ExitCode::kBadData) throw;
      }
    }
    // The suffix array of the unigram trainer takes 25 bytes for each byte of text: bounded, so that preparing fits small machines.
    constexpr std::int64_t kMaxUnigramSample = 8 << 20;
    const bool unigram = config.algorithm == text::Algorithm::kUnigram;
    const std::int64_t max_sample = unigram ? std::min(config.max_sample.count, kMaxUnigramSample) : config.max_sample.count;
    TextSample sample(static_cast<std::uint64_t>(max_sample));
    each_block(train_, [&](std::string_view text) {
      if (split_of(text) == Split::kTrain) sample.add(text);
    });
    const std::vector<std::string> texts = std::move(sample).take();
    require(!texts.empty(), ExitCode::kBadData, "corpus.train", "no training text to learn a tokenizer from", "files with text in them");
    const double start_s = monotonic_s();
    auto tokenizer = text::train_sentencepiece(config, texts);
    log::info(cat("trained a tokenizer of ", tokenizer->vocab_size(), " pieces in ", human_duration(monotonic_s() - start_s)));
    return tokenizer;
  }

  void note_word_boundary(std::string_view text, const std::filesystem::path& file, std::uint64_t offset) {
    if (tokenizer_->file_name() != "tokenizer.model") return;
    const std::size_t at = text.find(text::kWordBoundary);
    if (at == std::string_view::npos) return;
    faults_.add("U+2581", file.string(), offset + at, text::count_occurrences(text, text::kWordBoundary));
  }

  void note_if_in_both(std::string_view text) {
    auto same = std::equal_range(valid_hashes_.begin(), valid_hashes_.end(), hash_of(text).low);
    for (; same.first != same.second; ++same.first) in_both_[static_cast<std::size_t>(same.first - valid_hashes_.begin())] = true;
  }
  std::uint64_t num_in_both() const { return static_cast<std::uint64_t>(std::count(in_both_.begin(), in_both_.end(), true)); }

  PreparedSplit encode_split(const std::string& name, SplitRequest request, text::FaultReport& report) {
    ShardWriter writer(files_, {.directory = directory_,
                                .split = name,
                                .vocab_size = static_cast<std::uint64_t>(tokenizer_->vocab_size()),
                                .fingerprint = fingerprint_});
    request.start = writer.position();
    if (request.start.counts.num_tokens > 0) {
      log::info(cat("going on after ", with_commas(static_cast<std::int64_t>(request.start.counts.num_tokens)), " tokens of ", name));
    }
    BlockEncoder encoder(*tokenizer_, settings_.corpus.separator, settings_.num_threads, request.start,
                         [&](std::span<const std::int32_t> ids, const SplitPosition& after) { writer.add(ids, after); });
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
    PreparedSplit split{.counts = writer.position().counts, .shard_hashes = {}};
    for (const auto& path : writer.shards()) split.shard_hashes.push_back(read_shard_header(path).payload_hash.hex());
    return split;
  }

  PreparedSplit encode_train() {
    const auto select = [this](std::string_view text, const std::filesystem::path& file, std::uint64_t offset) {
      num_train_blocks_ += 1;
      note_word_boundary(text, file, offset);
      if (split_of(text) != Split::kTrain) return false;
      if (!valid_.empty()) note_if_in_both(text);
      return true;
    };
    return encode_split("train", {.files = paths_of(train_), .corpus = settings_.corpus, .select = select, .start = {}}, faults_);
  }

  PreparedSplit encode_valid() {
    if (!valid_.empty()) {
      const auto all = [this](std::string_view text, const std::filesystem::path& file, std::uint64_t offset) {
        note_word_boundary(text, file, offset);
        return true;
      };
      return encode_split("valid", {.files = paths_of(valid_), .corpus = settings_.corpus, .select = all, .start = {}}, faults_);
    }
    return encode_part(Split::kValid, "valid");
  }

  // A part of the training files that training does not see.
  PreparedSplit encode_part(Split split, const std::string& name) {
    text::FaultReport ignored;  // of the same files as before
    const auto select = [&](std::string_view text, const std::filesystem::path&, std::uint64_t) { return split_of(text) == split; };
    return encode_split(name, {.files = paths_of(train_), .corpus = settings_.corpus, .select = select, .start = {}}, ignored);
  }

  void check_splits(const PreparedManifest& manifest) const {
    require(num_train_blocks_ > 0, ExitCode::kBadData, "corpus.train", cat("no documents in ", train_.size(), " file(s)"),
            "files with text in them, read with the right corpus.format");
    const double share = (valid_.empty() ? settings_.corpus.holdout : 0) + settings_.corpus.tune_holdout;
    require(manifest.train.counts.num_tokens > 0, ExitCode::kBadData, valid_.empty() ? "corpus.holdout" : "corpus.tune_holdout",
            cat(shortest(share), " holds out all of ", num_train_blocks_, " document(s)"), "a smaller share, or more text");
    require(settings_.corpus.tune_holdout == 0 || manifest.tune.counts.num_tokens > 0, ExitCode::kBadData, "corpus.tune_holdout",
            cat(shortest(settings_.corpus.tune_holdout), " of ", num_train_blocks_, " document(s) holds out none"),
            "a larger share, or more documents");
    if (manifest.valid.counts.num_tokens > 0) return;
    require(valid_.empty(), ExitCode::kBadData, "corpus.valid", cat("no documents in ", valid_.size(), " file(s)"),
            "files with text in them");
    require(settings_.corpus.holdout == 0, ExitCode::kBadData, "corpus.holdout",
            cat(shortest(settings_.corpus.holdout), " of ", num_train_blocks_, " document(s) holds out none"),
            "a larger share, more documents, or files in corpus.valid");
  }

  const PrepareSettings& settings_;
  std::vector<InputFile> train_, valid_;
  std::filesystem::path directory_;
  std::string fingerprint_;
  FileSystem& files_ = real_files();
  Holdout holdout_ = Holdout::none(), tune_ = Holdout::none();
  std::vector<std::uint64_t> valid_hashes_;  // sorted; eight bytes per block of the `valid` files
  std::vector<bool> in_both_;                // beside valid_hashes_
  std::unique_ptr<text::Tokenizer> tokenizer_;
  text::FaultReport faults_;
  std::uint64_t num_train_blocks_ = 0;
};

void warn_of_faults(const PreparedManifest& manifest) {
  for (const auto& [kind, fault] : manifest.faults.faults) {
    log::warn(cat("corpus: ", kind, ", ", with_commas(static_cast<std::int64_t>(fault.count)), " times; first in ", fault.first_file,
                  " at byte ", fault.first_offset));
  }
  if (manifest.num_documents_in_both > 0) {
    log::warn(cat("corpus.valid: ", with_commas(static_cast<std::int64_t>(manifest.num_documents_in_both)),
                  " document(s) are in the training text too; the held-out perplexity is too good"));
  }
}

std::optional<Hash128> hash_of_given_model(const text::TokenizerConfig& tokenizer) {
  const auto* pieces = std::get_if<text::SentencePieceConfig>(&tokenizer);
  if (pieces == nullptr || !pieces->model.has_value()) return std::nullopt;
  return text::load_tokenizer(*pieces->model)->hash();  // damaged ones are refused before anything is done
}

// Where the prepared data of these settings lies or will lie.
struct Located {
  std::filesystem::path cache, directory;
  std::string settings, fingerprint;
  std::vector<InputFile> train, valid;
};

Located locate(const PrepareSettings& settings) {
  const std::filesystem::path root = settings.corpus.prepared_dir;
  Located located{.cache = root / "cache", .directory = {}, .settings = {}, .fingerprint = {}, .train = {}, .valid = {}};
  const auto train_paths = text::expand_paths(settings.corpus.train, "corpus.train");
  const auto valid_paths = text::expand_paths(settings.corpus.valid, "corpus.valid");
  require(!train_paths.empty(), ExitCode::kUsage, "corpus.train", "[]", "at least one file, directory or glob");
  const std::optional<Hash128> given_model = hash_of_given_model(settings.tokenizer);
  real_files().create_directories(located.cache);
  located.train = hash_inputs(train_paths, located.cache / "hashes.json", real_files());
  located.valid = hash_inputs(valid_paths, located.cache / "hashes.json", real_files());
  located.settings = token_settings(settings, given_model);
  located.fingerprint = fingerprint_of(located.settings, located.train, located.valid);
  located.directory = root / located.fingerprint;
  return located;
}

}  // namespace

PreparedData prepare(const PrepareSettings& settings) {
  Located located = locate(settings);
  if (!is_finished(located.directory)) {
    const StopNotice notice("finishing the part in hand; what is prepared so far is kept");
    const FolderLock lock(located.cache / (located.fingerprint + ".lock"));
    if (!is_finished(located.directory)) {  // another process may have finished it while we waited
      log::info(cat("preparing ", located.train.size() + located.valid.size(), " file(s) in ", located.directory.string()));
      PreparedManifest manifest = Preparation(settings, located.train, located.valid, located.directory, located.fingerprint).run();
      manifest.settings = located.settings;
      manifest.files = std::move(located.train);
      manifest.files.insert(manifest.files.end(), located.valid.begin(), located.valid.end());
      write_manifest(manifest, located.directory, real_files());
      warn_of_faults(manifest);
    }
  }
  return open_folder(located.directory);
}

std::optional<PreparedData> find_prepared(const PrepareSettings& settings) {
  const Located located = locate(settings);
  if (!is_finished(located.directory)) return std::nullopt;
  return open_folder(located.directory);
}

PreparedData open_prepared(const std::filesystem::path& prepared_dir, const std::string& fingerprint) {
  const bool plain = fingerprint.size() == 32 && fingerprint.find_first_not_of("0123456789abcdef") == std::string::npos;
  require(plain, ExitCode::kBadData, "fingerprint", printable(fingerprint), "32 hex digits");
  const std::filesystem::path directory = prepared_dir / fingerprint;
  require(is_finished(directory), ExitCode::kMissingInput, directory.string(), "no prepared data there",
          "the folder that the run was started with, or its corpus to prepare it again");
  return open_folder(directory);
}

EncodedText encode_files(const std::vector<std::string>& paths, const text::CorpusConfig& corpus, const text::Tokenizer& tokenizer,
                         int num_threads) {
  std::vector<std::int32_t> ids;
  std::vector<std::uint64_t> document_ends;
  SplitPosition position;
  BlockEncoder encoder(tokenizer, corpus.separator, num_threads, {}, [&](std::span<const std::int32_t> some, const SplitPosition& after) {
    ids.insert(ids.end(), some.begin(), some.end());
    if (after.counts.num_documents > position.counts.num_documents) document_ends.push_back(ids.size());
    position = after;
  });
  text::FaultReport faults;
  const auto all = [](std::string_view, const std::filesystem::path&, std::uint64_t) { return true; };
  read_split({.files = text::expand_paths(paths, "--data"), .corpus = corpus, .select = all, .start = {}}, faults,
             [&](SplitItem item) { encoder.add(std::move(item)); });
  encoder.finish();
  require(!ids.empty(), ExitCode::kBadData, "--data", "no documents", "files with text in them, read with the right corpus.format");
  warn_of_faults({.fingerprint = {},
                  .tokenizer_file = {},
                  .tokenizer_hash = {},
                  .train = {},
                  .valid = {},
                  .tune = {},
                  .num_documents_in_both = 0,
                  .faults = faults,
                  .settings = {},
                  .files = {}});
  return {.stream = TokenStream(std::move(ids), std::move(document_ends)), .counts = position.counts};
}

}  // namespace sluice::data
