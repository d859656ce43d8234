// Overlap: held-out text that is also in the training files.
//
// Text is compared in blocks (text/documents.h): a document, or a part of at most 64 KiB of a
// longer one. A document counts if the training files contain all of its blocks, in any split;
// bytes are counted by block. Empty blocks are ignored. Without corpus.valid there is no overlap,
// since equal blocks go to the same split (holdout.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace sluice::data {

struct Overlap {
  std::uint64_t num_documents = 0;
  // nullopt: prepared by a version that did not count bytes
  std::optional<std::uint64_t> num_bytes = 0;
};

// Takes two passes over the held-out files, with one over the training files between them.
class OverlapFinder {
 public:
  void add_held_out(std::string_view block);  // first pass
  void sort();
  void add_training(std::string_view block);
  void count(std::string_view block);  // second pass, with the end of each document
  void end_document();
  bool any() const;      // whether the second pass can find an overlap
  bool is_full() const;  // the training files contain every held-out block
  const Overlap& overlap() const { return overlap_; }

 private:
  std::vector<std::uint64_t> hashes_;  // eight bytes per distinct block
  std::vector<bool> seen_;             // parallel to hashes_
  Overlap overlap_;
  std::uint64_t num_blocks_ = 0, num_seen_ = 0;  // of the document being counted
};

}  // namespace sluice::data
