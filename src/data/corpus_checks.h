// Warnings and errors about a corpus, before training.
#pragma once

#include <string>
#include <string_view>

#include "data/input_files.h"
#include "data/prepared_folder.h"
#include "text/corpus_config.h"

namespace sluice::data {

struct Inputs;
struct OverlapTotals;

// Faults in the text, counted by the readers.
void warn_of_faults(const text::FaultReport& faults);
// Held-out documents that are also training text: number and share.
void warn_of_overlap(const Overlap& overlap, const SplitCounts& valid);
// warn_of_overlap(), and a warning about splits with too few documents for statistics.
void warn_of_splits(const PreparedManifest& manifest, const text::CorpusConfig& corpus);

// "3.1 % of the held-out tokens are also in the training text; 4 of 500 documents are near
// duplicates"; see token_overlap.h.
std::string overlap_words(const OverlapTotals& totals);
// kBadData if the totals exceed corpus.max_overlap.
void check_max_overlap(const OverlapTotals& totals, const text::CorpusConfig& corpus);

// kBadData: all of corpus.valid is training text.
[[noreturn]] void fail_full_overlap(std::string_view received);
// fail_full_overlap() if every held-out file has the hash of a training file; before preparation.
void refuse_equal_files(const Inputs& inputs);
// fail_full_overlap() if finished data has recorded a full overlap.
void refuse_full_overlap(const PreparedManifest& manifest);

}  // namespace sluice::data
