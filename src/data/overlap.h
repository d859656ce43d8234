// Held-out text that the training files have too.
//
// Text is compared in blocks (text/documents.h): a document, or a part of at most 64 KiB of a longer one. A document counts where the
// training files have all of its blocks, whichever split those go to; bytes are counted by block. Empty blocks are left out. Without
// corpus.valid nothing can overlap: equal blocks go to one split (holdout.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace sluice::data {

struct Overlap {
  std::uint64_t num_documents = 0;
  std::optional<std::uint64_t> num_bytes = 0;  // nothing: prepared by a version that counted blocks alone
};

// Compares in two passes over the held-out files, one over the training files between them.
class OverlapFinder {
 public:
  void add_held_out(std::string_view block);  // first pass
  void sort();
  void see_training(std::string_view block);
  void count(std::string_view block);  // second pass, with the end of each document
  void end_document();
  bool any() const;      // whether a second pass can find anything
  bool is_full() const;  // the training files have every block
  const Overlap& overlap() const { return overlap_; }

 private:
  std::vector<std::uint64_t> hashes_;  // eight bytes per different block
  std::vector<bool> seen_;             // parallel to hashes_
  Overlap overlap_;
  std::uint64_t num_blocks_ = 0, num_seen_ = 0;  // of the document being counted
};

}  // namespace sluice::data
