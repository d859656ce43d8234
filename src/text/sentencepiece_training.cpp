#include <sentencepiece_trainer.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <numeric>
#include <unordered_map>

#include "base/error.h"
#include "base/text_format.h"
#include "text/sentencepiece_model.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {

// The library sums the likelihood of a line in single precision and aborts on overflow.
constexpr std::size_t kMaxTrainingLine = kMaxTrainingSentence / 2;
// The result depends on the number of threads (sums are accumulated per thread), so it is fixed on
// all machines.
constexpr int kNumThreads = 4;

// Passes the lines of the sample to the library. Newlines, tabs and the two characters reserved by
// the library (U+2581, U+2585) end a line: no piece may contain them, and they are encoded as
// bytes. A final blank ensures that every sample contains one: a blank must not be encoded as a
// byte, as it would be decoded as U+2581.
class TrainingLines : public sentencepiece::SentenceIterator {
 public:
  explicit TrainingLines(std::span<const std::string> sample) : sample_(sample) { Next(); }
  bool has_text() const { return stage_ == Stage::kSample; }  // valid before the first Next()
  bool done() const override { return stage_ == Stage::kDone; }
  void Next() override {
    while (stage_ == Stage::kSample && advance()) {
      if (!line_.empty()) return;
    }
    stage_ = stage_ == Stage::kSample ? Stage::kBlank : Stage::kDone;
    line_ = " ";
  }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  static std::size_t length_of_line(std::string_view rest) {
    std::size_t end = std::min(rest.find_first_of(std::string_view("\n\t\0", 3)), rest.size());
    end = std::min({end, rest.find(kWordBoundary), rest.find(kReserved)});
    if (end <= kMaxTrainingLine) return end;
    const std::size_t blank = rest.rfind(' ', kMaxTrainingLine);
    return blank != std::string_view::npos && blank > 0
               ? blank
               : character_boundary(rest, kMaxTrainingLine);
  }
  static std::size_t separator_length(std::string_view rest) {
    if (rest.empty() || rest[0] == ' ') return 0;
    if (rest[0] == '\n' || rest[0] == '\t' || rest[0] == '\0') return 1;
    return rest.starts_with(kWordBoundary) || rest.starts_with(kReserved) ? kReserved.size() : 0;
  }
  // Reads the next line, which may be empty. False at the end.
  bool advance() {
    while (rest_.empty()) {
      if (index_ == sample_.size()) return false;
      rest_ = sample_[index_++];
    }
    const std::size_t length = length_of_line(rest_);
    line_.assign(rest_.substr(0, length));
    rest_.remove_prefix(length);
    rest_.remove_prefix(separator_length(rest_));
    return true;
  }

  static constexpr std::string_view kReserved = "\xE2\x96\x85";
  std::span<const std::string> sample_;
  std::size_t index_ = 0;
  std::string_view rest_;
  std::string line_;
  enum class Stage { kSample, kBlank, kDone };
  Stage stage_ = Stage::kSample;
};

std::unordered_map<std::string, std::string> trainer_settings(const SentencePieceConfig& config) {
  return {
      {"model_type", config.algorithm == Algorithm::kBpe ? "bpe" : "unigram"},
      {"vocab_size", cat(config.vocab_size)},
      // Lossless: no normalization, unchanged blanks, byte fallback for unknown characters.
      {"normalization_rule_name", "identity"},
      {"add_dummy_prefix", "false"},
      {"remove_extra_whitespaces", "false"},
      {"byte_fallback", "true"},
      {"allow_whitespace_only_pieces", "true"},
      {"required_chars", std::string(kWordBoundary)},
      {"character_coverage", shortest(config.character_coverage)},
      {"max_sentence_length", cat(kMaxTrainingSentence)},
      {"num_threads", cat(kNumThreads)},
      {"shuffle_input_sentence", "false"},
      {"minloglevel", "3"},
  };
}

// The whole number after the first `mark` in `text`; 0 if there is none.
std::int64_t number_after(std::string_view text, std::string_view mark) {
  const std::size_t at = text.find(mark);
  std::int64_t number = 0;
  if (at != std::string_view::npos)
    std::from_chars(text.data() + at + mark.size(), text.data() + text.size(), number);
  return number;
}

constexpr std::int64_t kMetaPieces = 256 + 3;  // bytes; <unk>, <s>, </s>
constexpr double kMinCoverage = 0.98;          // limit of the library

// The share of the `max_pieces` most frequent characters in the sample, rounded down to four
// digits.
double coverage_of(std::int64_t max_pieces, std::span<const std::string> sample) {
  std::unordered_map<std::string, std::int64_t> counts;
  std::int64_t sum = 0;
  for (TrainingLines lines(sample); !lines.done(); lines.Next()) {
    std::string_view rest = lines.value();
    while (!rest.empty()) {
      const std::size_t end = character_length(rest);
      ++counts[std::string(rest.substr(0, end))];
      ++sum;
      rest.remove_prefix(end);
    }
  }
  std::vector<std::int64_t> sorted;
  for (const auto& [character, count] : counts) sorted.push_back(count);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const auto end =
      sorted.begin() + std::min<std::int64_t>(std::max<std::int64_t>(max_pieces, 0),
                                              static_cast<std::int64_t>(sorted.size()));
  const auto covered = static_cast<double>(std::accumulate(sorted.begin(), end, std::int64_t{0}));
  return std::floor(covered / static_cast<double>(sum) * 1e4) / 1e4;
}

// `smallest`: the number of pieces required by the library.
[[noreturn]] void fail_small_vocabulary(const SentencePieceConfig& config, std::int64_t smallest,
                                        std::span<const std::string> sample) {
  // The blank is required whatever its share.
  const double coverage = coverage_of(config.vocab_size - kMetaPieces - 1, sample);
  const std::string lower = coverage >= kMinCoverage ? cat("tokenizer.character_coverage ",
                                                           shortest(coverage), " or less, ")
                                                     : "";
  fail(ExitCode::kUsage, "tokenizer.vocab_size", cat(config.vocab_size),
       cat("at least ", smallest, " (", smallest - kMetaPieces - 1,
           " characters at character_coverage ", shortest(config.character_coverage),
           ", the blank, 256 bytes and 3 control pieces), ", lower, "or tokenizer: {type: bytes}"));
}

[[noreturn]] void fail_training(const SentencePieceConfig& config, std::string_view message,
                                std::span<const std::string> sample) {
  const std::string received = cat(config.vocab_size);
  const std::int64_t largest = number_after(message, "value <= ");
  if (largest > 0)
    fail(ExitCode::kUsage, "tokenizer.vocab_size", received,
         cat("at most ", largest, " with this text, or more text"));
  const std::int64_t smallest = number_after(message, " vs ");
  if (smallest > 0) fail_small_vocabulary(config, smallest, sample);
  fail(ExitCode::kBadData, "tokenizer training failed", message);
}

}  // namespace

std::unique_ptr<Tokenizer> train_sentencepiece(const SentencePieceConfig& config,
                                               std::span<const std::string> sample) {
  silence_sentencepiece();
  TrainingLines lines(sample);
  require(lines.has_text(), ExitCode::kBadData, "tokenizer training", "no text in the sample");
  std::string serialized;
  const auto status =
      sentencepiece::SentencePieceTrainer::Train(trainer_settings(config), &lines, &serialized);
  if (!status.ok()) fail_training(config, status.message(), sample);
  auto tokenizer = make_sentencepiece_tokenizer(std::move(serialized), "the trained tokenizer");
  invariant(tokenizer->lossless(), "the trained tokenizer is lossy");
  return tokenizer;
}

}  // namespace sluice::text
