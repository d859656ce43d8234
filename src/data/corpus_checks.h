// What is said about a corpus before anything is trained on it.
#pragma once

#include <string_view>

#include "data/input_files.h"
#include "data/prepared_folder.h"
#include "text/corpus_config.h"

namespace sluice::data {

struct Inputs;

// Faults in the text, counted by its readers.
void warn_of_faults(const text::FaultReport& faults);
// Held-out documents that are training text too: number and share.
void warn_of_overlap(const Overlap& overlap, const SplitCounts& valid);
// The same, and splits of so few documents that statistics over documents mean nothing.
void warn_of_splits(const PreparedManifest& manifest, const text::CorpusConfig& corpus);

// kBadData, with the ways out.
[[noreturn]] void fail_full_overlap(std::string_view what);
// The same where every held-out file is a training file, under whatever name: seen by hash, before any work.
void refuse_equal_files(const Inputs& inputs);
// The same where finished data says so.
void refuse_full_overlap(const PreparedManifest& manifest);

}  // namespace sluice::data
