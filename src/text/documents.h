// Reads corpus files document by document.
//
// Memory: for_each_block() holds one line of at most corpus.max_line bytes and one block.
// for_each_document() holds a whole document, which with `format: text` is the whole file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/field.h"
#include "text/corpus_config.h"

namespace sluice::text {

// Faults in the text, counted by kind ("invalid UTF-8", "NUL bytes", "byte order mark", "CRLF line
// ends", "long lines", "broken JSON lines", "JSON lines without the text field", "half surrogate
// pairs"; data/ adds "U+2581" and data/split_reader.h's kUncertainCuts).
struct FaultReport {
  struct Fault {
    std::uint64_t count = 0;
    std::string first_file;
    std::uint64_t first_offset = 0;  // bytes from the start of the decompressed file
    friend bool operator==(const Fault&, const Fault&) = default;

    static constexpr auto fields() {
      return std::tuple{config::field<&Fault::count>("Number of occurrences."),
                        config::field<&Fault::first_file>("File of the first occurrence."),
                        config::field<&Fault::first_offset>(
                            "Byte offset of the first occurrence in the decompressed file.")};
    }
  };
  std::map<std::string, Fault> faults;
  void add(std::string_view kind, std::string_view file, std::uint64_t offset,
           std::uint64_t count = 1);
  void merge(const FaultReport& other);  // keeps the first positions of this report
};

// Expands `patterns` (files, directories, globs) to a sorted list of regular files. A file with
// several names is listed once, under the first name, and a note is logged. A directory expands to
// every file below it except hidden ones (`.name`); links are followed, but no directory is entered
// twice. In a glob, a path component `**` matches any number of directories that are not hidden.
// kMissingInput if a pattern matches nothing or anything but regular files; `subject` is the key or
// option with the patterns.
enum class Notes { kLog, kNone };  // kNone: for repeated calls with the same files
std::vector<std::filesystem::path> expand_paths(const std::vector<std::string>& patterns,
                                                std::string_view subject,
                                                Notes notes = Notes::kLog);

// Longer documents are split into blocks, each of as many whole lines as fit. A line longer than a
// block is split before the last blank that fits, or between characters if it has none. The split
// depends only on the document's text.
inline constexpr std::size_t kMaxBlockBytes = 64 << 10;

// Receives the blocks of each document, in order, then its end. A document has at least one block,
// unless `skip` dropped them all.
struct BlockVisitor {
  std::function<void(std::string_view text, std::uint64_t offset)>
      block;  // offset of the block's first line in the decompressed file
  std::function<void()> end_of_document;
};

// Reads `file`; compression (gzip, zstd) is detected by content, not by name. Faults are counted
// and handled by the policies of `config`: `skip` drops the block with the fault, which is the
// whole document unless it is longer than a block. kBadData for faults with the policy `error`, and
// for damaged compressed data.
//
// Documents: `text` the unchanged file; `lines` a line without its line end, except empty lines;
// `paragraphs` the lines between blank ones (only ASCII whitespace), joined by newlines, without a
// final newline; `jsonl` the member `text_field` of the object on a line, except blank lines. An
// empty file has no documents; an empty JSON text is a document with one empty block.
void for_each_block(const std::filesystem::path& file, const CorpusConfig& config,
                    FaultReport& report, const BlockVisitor& visitor);

// The same with whole documents (without blocks dropped by `skip`).
void for_each_document(const std::filesystem::path& file, const CorpusConfig& config,
                       FaultReport& report, const std::function<void(std::string_view text)>& each);

// Number of words, the unit of word_perplexity: maximal runs of characters other than ASCII blank,
// tab, newline, vertical tab, form feed and carriage return.
std::uint64_t count_words(std::string_view text);

}  // namespace sluice::text
