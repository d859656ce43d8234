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

std::vector<std::filesystem::path> paths_of(const std::vector<InputFile>& files) {
  std::vector<std::filesystem::path> paths;
  for (const InputFile& file : files) paths.push_back(file.path);
  return paths;
}

// The work on one folder, from the corpus to prepared.json.
class Preparation {
 public:
  Preparation(const PrepareSettings& settings, const Inputs& inputs, std::filesystem::path directory, std::string fingerprint)
      : settings_(settings),
        train_(inputs.train),
        valid_(inputs.valid),
        directory_(std::move(directory)),
        fingerprint_(std::move(fingerprint)) {}

  PreparedManifest run() {
    const double start_s = monotonic_s();
    files_.create_directories(directory_);
    remove_temporaries();
    choose_holdout();
    make_tokenizer();
    PreparedManifest manifest;
    for (const Split split : kSplits) manifest.splits[std::string(split_name(split))] = encode(split);
    check_splits(manifest);
    manifest.set_overlap(count_overlap());
    check_unchanged(train_);
    check_unchanged(valid_);
    manifest.fingerprint = fingerprint_;
    manifest.program = version();
    manifest.tokenizer = {std::string(tokenizer_->file_name()), tokenizer_->hash().hex()};
    manifest.faults = faults_.faults;
    log::end_progress();
    const auto tokens_of = [](const PreparedSplit& split) { return with_commas(static_cast<std::int64_t>(split.tokens)); };
    std::vector<std::string> parts;
    for (const Split split : kSplits) {
      if (split == Split::kTune && settings_.corpus.tune_holdout == 0) continue;
      parts.push_back(cat(tokens_of(manifest.split(split)), " ", split_words(split)));
    }
    std::string counts;
    for (std::size_t i = 0; i < parts.size(); ++i) counts += cat(i == 0 ? "" : i + 1 < parts.size() ? ", " : " and ", parts[i]);
    log::info(cat("prepared ", counts, " tokens in ", human_duration(monotonic_s() - start_s)));
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

  void choose_holdout() {
    const double share = settings_.corpus.holdout, tune = settings_.corpus.tune_holdout;
    if (!valid_.empty()) {
      each_block(valid_, [this](std::string_view text) { overlap_.add_held_out(text); });
      overlap_.sort();
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

  // Refuses held-out text that is training text as a whole.
  Overlap count_overlap() {
    if (overlap_.is_full()) fail_full_overlap("all of its text");
    if (!overlap_.any()) return {};
    text::FaultReport ignored;
    const text::BlockVisitor visitor{.block = [this](std::string_view text, std::uint64_t) { overlap_.count(text); },
                                     .end_of_document = [this] { overlap_.end_document(); }};
    for (const InputFile& file : valid_) text::for_each_block(file.path, settings_.corpus, ignored, visitor);
    return overlap_.overlap();
  }

  PreparedSplit encode_split(Split which, SplitRequest request, text::FaultReport& report) {
    const std::string_view name = split_name(which);
    ShardWriter writer(files_, {.directory = directory_,
                                .split = std::string(name),
                                .vocab_size = static_cast<std::uint64_t>(tokenizer_->vocab_size()),
                                .fingerprint = fingerprint_});
    request.start = writer.position();
    request.tokenizer = tokenizer_.get();
    if (request.start.counts.num_tokens > 0) {
      log::info(cat("continuing after ", with_commas(static_cast<std::int64_t>(request.start.counts.num_tokens)), " tokens of ", name));
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
    std::vector<std::string> hashes;
    for (const auto& path : writer.shards()) hashes.push_back(read_shard_header(path).payload_hash.hex());
    return prepared_split(writer.position().counts, std::move(hashes));
  }

  PreparedSplit encode(Split split) {
    if (split == Split::kTrain) return encode_train();
    if (split == Split::kValid && !valid_.empty()) return encode_valid_files();
    if (split == Split::kTune && settings_.corpus.tune_holdout == 0) return {};
    return encode_part(split);
  }

  PreparedSplit encode_train() {
    const auto select = [this](std::string_view text, const std::filesystem::path& file, std::uint64_t offset) {
      num_train_blocks_ += 1;
      note_word_boundary(text, file, offset);
      if (!valid_.empty()) overlap_.see_training(text);
      return split_of(text) == Split::kTrain;
    };
    return encode_split(Split::kTrain, {.files = paths_of(train_), .corpus = settings_.corpus, .select = select, .start = {}}, faults_);
  }

  PreparedSplit encode_valid_files() {
    const auto all = [this](std::string_view text, const std::filesystem::path& file, std::uint64_t offset) {
      note_word_boundary(text, file, offset);
      return true;
    };
    return encode_split(Split::kValid, {.files = paths_of(valid_), .corpus = settings_.corpus, .select = all, .start = {}}, faults_);
  }

  // A part of the training files that training does not see.
  PreparedSplit encode_part(Split split) {
    text::FaultReport again;  // of the same files as before, but for where documents are cut
    const auto select = [&](std::string_view text, const std::filesystem::path&, std::uint64_t) { return split_of(text) == split; };
    PreparedSplit encoded =
        encode_split(split, {.files = paths_of(train_), .corpus = settings_.corpus, .select = select, .start = {}}, again);
    if (const auto cuts = again.faults.find(std::string(kUncertainCuts)); cuts != again.faults.end())
      faults_.add(cuts->first, cuts->second.first_file, cuts->second.first_offset, cuts->second.count);
    return encoded;
  }

  static std::string num_files(const std::vector<InputFile>& files) { return count_of(static_cast<std::int64_t>(files.size()), "file"); }
  std::string num_documents() const { return count_of(static_cast<std::int64_t>(num_train_blocks_), "document"); }

  void check_splits(const PreparedManifest& manifest) const {
    require(num_train_blocks_ > 0, ExitCode::kBadData, "corpus.train", cat("no documents in ", num_files(train_)),
            "files with text in them, read with the right corpus.format");
    const double share = (valid_.empty() ? settings_.corpus.holdout : 0) + settings_.corpus.tune_holdout;
    require(manifest.split(Split::kTrain).tokens > 0, ExitCode::kBadData, valid_.empty() ? "corpus.holdout" : "corpus.tune_holdout",
            cat(shortest(share), " holds out all of ", num_documents()), "a smaller share, or more text");
    require(settings_.corpus.tune_holdout == 0 || manifest.split(Split::kTune).tokens > 0, ExitCode::kBadData, "corpus.tune_holdout",
            cat(shortest(settings_.corpus.tune_holdout), " of ", num_documents(), " holds out none"), "a larger share, or more documents");
    if (manifest.split(Split::kValid).tokens > 0) return;
    require(valid_.empty(), ExitCode::kBadData, "corpus.valid", cat("no documents in ", num_files(valid_)), "files with text in them");
    require(settings_.corpus.holdout == 0, ExitCode::kBadData, "corpus.holdout",
            cat(shortest(settings_.corpus.holdout), " of ", num_documents(), " holds out none"),
            "a larger share, more documents, or files in corpus.valid");
  }

  const PrepareSettings& settings_;
  std::vector<InputFile> train_, valid_;
  std::filesystem::path directory_;
  std::string fingerprint_;
  FileSystem& files_ = real_files();
  Holdout holdout_ = Holdout::none(), tune_ = Holdout::none();
  OverlapFinder overlap_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  text::FaultReport faults_;
  std::uint64_t num_train_blocks_ = 0;
};

}  // namespace

PreparedManifest run_preparation(const PrepareSettings& settings, const Inputs& inputs, const std::filesystem::path& directory,
                                 const std::string& fingerprint) {
  return Preparation(settings, inputs, directory, fingerprint).run();
}

}  // namespace sluice::data
