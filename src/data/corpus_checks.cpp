#include "data/corpus_checks.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "config/names.h"
#include "data/preparation.h"
#include "data/token_overlap.h"

namespace sluice::data {
namespace {

// With fewer documents, a standard error is unreliable and so is a hold-out by document.
constexpr std::uint64_t kFewDocuments = 10;

std::string count(std::uint64_t number) { return with_commas(static_cast<std::int64_t>(number)); }

std::string percent(std::uint64_t part, std::uint64_t whole) {
  return cat(fixed(100 * static_cast<double>(part) /
                       static_cast<double>(std::max<std::uint64_t>(whole, 1)),
                   1),
             " %");
}

// A likely reason for fewer documents than expected.
std::string_view cause(text::Format format) {
  switch (format) {
    case text::Format::kText:
      return "each file is one document";
    case text::Format::kLines:
    case text::Format::kJsonl:
      return "each line is one document";
    case text::Format::kParagraphs:
      return "only a blank line ends a document";
  }
  return {};
}

void warn_of_few_documents(const PreparedManifest& manifest, const text::CorpusConfig& corpus) {
  std::string few;
  for (const Split split : kSplits) {
    const SplitCounts counts = counts_of(manifest.split(split));
    if (counts.num_tokens == 0 || counts.num_documents >= kFewDocuments) continue;
    few += cat(few.empty() ? "" : ", ", count_of(static_cast<std::int64_t>(counts.num_documents),
                                                 cat(split_words(split), " document")));
  }
  if (few.empty()) return;
  log::warn(cat("corpus: ", few, ", fewer than ", kFewDocuments,
                ": too few to hold out by document and for per-document statistics; with "
                "corpus.format `",
                config::name_of(corpus.format), "`, ", cause(corpus.format),
                "; check corpus.format"));
}

}  // namespace

void warn_of_faults(const text::FaultReport& report) {
  for (const auto& [kind, fault] : report.faults)
    log::warn(cat("corpus: ", kind, ", ", count_of(static_cast<std::int64_t>(fault.count), "time"),
                  "; first in ", fault.first_file, " at byte ", fault.first_offset));
}

void warn_of_overlap(const Overlap& overlap, const SplitCounts& valid) {
  if (overlap.num_documents == 0 && overlap.num_bytes.value_or(0) == 0) return;
  const std::string bytes =
      overlap.num_bytes ? cat(", ", percent(*overlap.num_bytes, valid.num_bytes), " of the bytes")
                        : "";
  log::warn(cat("corpus.valid: ", count(overlap.num_documents), " of ", count(valid.num_documents),
                " documents (", percent(overlap.num_documents, valid.num_documents), bytes,
                ") are also in the training files; held-out perplexity will be optimistic"));
}

void warn_of_splits(const PreparedManifest& manifest, const text::CorpusConfig& corpus) {
  warn_of_overlap(manifest.overlap(), counts_of(manifest.split(Split::kValid)));
  warn_of_few_documents(manifest, corpus);
}

std::string overlap_words(const OverlapTotals& totals) {
  return cat(percent(totals.num_contained, totals.num_tokens),
             " of the held-out tokens are also in the training text; ",
             count(totals.num_near_duplicates), " of ", count(totals.num_documents),
             " documents are near duplicates");
}

void check_max_overlap(const OverlapTotals& totals, const text::CorpusConfig& corpus) {
  if (totals.share() <= corpus.max_overlap) return;
  fail(ExitCode::kBadData, "corpus.max_overlap", overlap_words(totals),
       cat("at most ", shortest(100 * corpus.max_overlap), " % of the tokens"));
}

void fail_full_overlap(std::string_view received) {
  fail(ExitCode::kBadData, "corpus.valid", received,
       "text absent from corpus.train, or no corpus.valid and a share in corpus.holdout "
       "(to score a model on its training text, use `sluice eval RUN --data FILE`)");
}

void refuse_equal_files(const Inputs& inputs) {
  std::set<Hash128> training;
  for (const InputFile& file : inputs.train) training.insert(file.hash);
  bool any = false;
  for (const InputFile& file : inputs.valid) {
    if (file.size_bytes == 0) continue;
    if (!training.contains(file.hash)) return;
    any = true;
  }
  if (any) fail_full_overlap("only copies of training files");
}

void refuse_full_overlap(const PreparedManifest& manifest) {
  const PreparedSplit& valid = manifest.split(Split::kValid);
  if (valid.documents > 0 && manifest.overlap().num_bytes == valid.bytes)
    fail_full_overlap("only text of the training files");
}

}  // namespace sluice::data
