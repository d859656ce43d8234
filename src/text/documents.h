// Reads corpus files document by document.
//
// Memory: a line of at most corpus.max_line bytes, and one block. Only for_each_document() holds whole documents, so that a
// large file read as `format: text` is in memory whole; for_each_block() never holds more than a line and a block.
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

// Faults met, counted by kind ("invalid UTF-8", "NUL bytes", "byte order mark", "CRLF line ends", "long lines", "broken JSON lines", "JSON lines
// without the text field", "half surrogate pairs"; data/ adds "U+2581" and data/split_reader.h's kUncertainCuts).
struct FaultReport {
  struct Fault {
    std::uint64_t count = 0;
    std::string first_file;
    std::uint64_t first_offset = 0;  // bytes from the start of the decompressed file
    friend bool operator==(const Fault&, const Fault&) = default;

    static constexpr auto fields() {
      return std::tuple{config::field<&Fault::count>("How often."), config::field<&Fault::first_file>("The file of the first one."),
                        config::field<&Fault::first_offset>("Its place there, in bytes of the decompressed text.")};
    }
  };
  std::map<std::string, Fault> faults;
  void add(std::string_view kind, std::string_view file, std::uint64_t offset, std::uint64_t count = 1);
  void merge(const FaultReport& other);  // `other` comes after what is here: the first place stays
};

// Regular files that `patterns` (files, directories, globs) name, sorted, each file once: one with several names by the first of them,
// which a note says. A directory stands for every file below it, hidden ones (`.name`) left out; links are followed, but no directory is entered
// twice. In a glob, `**` as a whole part of the path is any number of directories that are not hidden. kMissingInput where a pattern
// names nothing, or something that is no regular file; `subject` says whose patterns they are.
enum class Notes { kLog, kNone };  // kNone: for a second look at the same files
std::vector<std::filesystem::path> expand_paths(const std::vector<std::string>& patterns, std::string_view subject,
                                                Notes notes = Notes::kLog);

// Documents longer than this are cut into blocks: the most whole lines that fit. A line that is longer itself is cut before
// its last blank that fits, or between characters where it has none. The cut depends on the document's text alone.
inline constexpr std::size_t kMaxBlockBytes = 64 << 10;

// Receives the blocks of each document, in order, then its end. A document has one block or more, but none where `skip` dropped all.
struct BlockVisitor {
  std::function<void(std::string_view text, std::uint64_t offset)>
      block;  // offset: of the line where the block starts, in the decompressed file
  std::function<void()> end_of_document;
};

// Reads `file`. Plain, gzip and zstd by content, not by name. Faults are counted and follow the policies of `config`: `skip` drops the block with the fault, which is the whole document unless it is
// longer than a block. kBadData for faults whose policy is `error`, and for damaged compressed data.
//
// Documents: `text` the file as it is; `lines` a line without its end, empty ones left out; `paragraphs` the lines between blank
// ones (only ASCII white space), joined by newlines, without a final one; `jsonl` the member `text_field` of the object on a line, blank lines left out.
// A file that is empty has no documents; an empty JSON text is a document with one empty block.
void for_each_block(const std::filesystem::path& file, const CorpusConfig& config, FaultReport& report, const BlockVisitor& visitor);

// The same, whole documents at a time (without the blocks that `skip` dropped).
void for_each_document(const std::filesystem::path& file, const CorpusConfig& config, FaultReport& report,
                       const std::function<void(std::string_view text)>& each);

// Maximal runs of non-whitespace (ASCII blank, tab, newline, vertical tab, form feed, carriage return), the unit of word_perplexity.
std::uint64_t count_words(std::string_view text);

}  // namespace sluice::text
