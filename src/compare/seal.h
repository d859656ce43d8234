// Seals: hashes that bind a comparison to its runs (docs/comparison.md, "The seal").
//
// When a run has ended, cell.json receives the hashes of its files and of the program. A later
// change of one of them is found by every report, and the cell counts as failed. DIR/seal.txt lists
// the sealed values of all cells; the seal of the comparison is the SHA-256 of that file, so
// `sha256sum DIR/seal.txt` prints it. All hashes can be recomputed with sed and sha256sum. They
// contain no times or paths: the same runs on the same kind of machine have the same seal.
//
// A seal is not a signature. Someone who changes a file can compute new hashes, but not the seal
// that was published; made-up losses are only found by training again (audit.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "config/field.h"
#include "report/comparison.h"

namespace sluice::compare {

struct Cell;
struct CellRecord;

struct CellSeal {
  std::string program, executable;
  std::int64_t numerics = 0;
  std::string libtorch, config, data, tokenizer, held_out;
  std::int64_t steps = 0;
  std::uint64_t tokens = 0;
  std::string losses, result, weights, digest;

  static constexpr auto fields() {
    using config::field;
    using S = CellSeal;
    return std::tuple{
        field<&S::program>("Version and revision of the program that finished the run."),
        field<&S::executable>("SHA-256 of its executable."),
        field<&S::numerics>("kNumericsVersion of the program."),
        field<&S::libtorch>("Version of LibTorch; empty without a result."),
        field<&S::config>("SHA-256 of `config` in result.json; empty without a result."),
        field<&S::data>("Fingerprint of the prepared data."),
        field<&S::tokenizer>("XXH3-128 of the tokenizer's file."),
        field<&S::held_out>("SHA-256 of the lines of shard hashes of the evaluated split."),
        field<&S::steps>("Steps of the run; 0 without a result."),
        field<&S::tokens>("Target tokens trained on; 0 without a result."),
        field<&S::losses>("SHA-256 of metrics.jsonl without clock readings."),
        field<&S::result>("SHA-256 of result.json without clock readings and its own hash."),
        field<&S::weights>("XXH3-128 of model.safetensors after the last step; empty if not kept."),
        field<&S::digest>("SHA-256 of these values and of cell.json's, as in seal.txt.")};
  }
};

// The text whose hash is CellSeal::losses: each line of a metrics.jsonl up to `,"time":{`, closed
// by a brace.
std::string untimed_metrics(std::string_view metrics);
// The text whose hash is CellSeal::result: a result.json without the keys training_seconds and
// seal_xxh3_128.
std::string untimed_result(std::string_view result);

// Hashes the files of a run that has finished or diverged. kMissingInput or kBadData if its result
// or metrics cannot be read.
CellSeal make_seal(const CellRecord& record, const Cell& cell);
// The lines of the cell in seal.txt, without the digest.
std::string seal_lines(const CellRecord& record);
// What has changed since the run was sealed, one entry per value; empty without a seal.
std::vector<std::string> seal_faults(const CellRecord& record, const std::filesystem::path& run);

// Sets seal, seal_text and num_unsealed from the cells.
void seal_comparison(report::Comparison& comparison);

}  // namespace sluice::compare
