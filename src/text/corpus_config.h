// Section `corpus`: location of the text and its division into documents.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "config/field.h"

namespace sluice::text {

enum class Format { kText, kLines, kParagraphs, kJsonl };
constexpr auto names_of(Format) {
  return std::array{std::pair{Format::kText, std::string_view("text")},
                    std::pair{Format::kLines, std::string_view("lines")},
                    std::pair{Format::kParagraphs, std::string_view("paragraphs")},
                    std::pair{Format::kJsonl, std::string_view("jsonl")}};
}

enum class Separator { kEos, kNone };
constexpr auto names_of(Separator) {
  return std::array{std::pair{Separator::kEos, std::string_view("eos")},
                    std::pair{Separator::kNone, std::string_view("none")}};
}

// How to handle a fault in the text. Faults are counted under all three policies, and the position
// of the first one (file, byte offset) is reported.
enum class Policy { kError, kReplace, kSkip };
constexpr auto names_of(Policy) {
  return std::array{std::pair{Policy::kError, std::string_view("error")},
                    std::pair{Policy::kReplace, std::string_view("replace")},
                    std::pair{Policy::kSkip, std::string_view("skip")}};
}

struct CorpusConfig {
  std::vector<std::string> train;
  std::vector<std::string> valid;
  double holdout = 0.05;
  double tune_holdout = 0;
  Format format = Format::kParagraphs;
  Separator separator = Separator::kEos;
  std::string text_field = "text";
  Policy invalid_utf8 = Policy::kError;
  Policy nul_bytes = Policy::kError;
  Policy byte_order_mark = Policy::kReplace;
  Policy crlf = Policy::kReplace;
  Policy broken_json = Policy::kError;
  Policy long_lines = Policy::kError;
  config::Bytes max_line{64 << 20};
  double max_overlap = 1;
  std::string prepared_dir = "data/prepared";

  static constexpr auto fields() {
    using config::field;
    using C = CorpusConfig;
    return std::tuple{
        field<&C::train>(
            "Training text: files, directories or globs; plain, gzip or zstd. A directory includes "
            "every regular file below it, except hidden ones. In globs, `**` matches any number of "
            "directories; braces are not expanded. A file with several names (links, overlapping "
            "globs) is read once; to weight a file, copy it. FIFOs and devices are rejected, since "
            "a corpus is read several times. Relative paths start from the working directory; in "
            "another directory, `eval`, `verify` and `--resume` also search the directory where "
            "the run was started. A resumed run may name other paths to the same content (the "
            "bytes of the files, compressed or not, in the order of their paths); different "
            "content is rejected. Missing files are accepted while the paths are unchanged and the "
            "prepared data exists.",
            config::Path{"corpus"}),
        field<&C::valid>(
            "Held-out text, in the same form as `train`. If given, `holdout` is ignored. Documents "
            "that also occur in the training files (all their blocks of at most 64 KiB, byte for "
            "byte) are counted and reported; if no block is new, the text is rejected.",
            config::Path{"held-out"}),
        field<&C::holdout>(
            "Held-out share of the training text: a fraction below 1, or a number of documents "
            "from 1. Selected by hash of the document (of 64 KiB line-aligned blocks of longer "
            "ones), so the selection does not change when files are added.",
            config::NonNegative{}),
        field<&C::tune_holdout>(
            "A further share of the training text, a fraction below 1, for choosing settings: used "
            "neither for training nor for the held-out metrics. Selected in the same way, without "
            "changing the held-out share.",
            config::NonNegative{}),
        field<&C::format>(
            "What a document is: `text` a file, `lines` a line, `paragraphs` a block between blank "
            "lines, `jsonl` one field of a JSON line."),
        field<&C::separator>(
            "Between documents: `eos` the tokenizer's end token, `none` nothing. Attention crosses "
            "document boundaries in both cases."),
        field<&C::text_field>("The field of a JSON line that contains the text.",
                              config::NonEmpty{}),
        field<&C::invalid_utf8>(
            "Invalid UTF-8, and lone surrogates in JSON (`\\ud83d`): `error` stops, `replace` "
            "inserts U+FFFD, `skip` drops the document."),
        field<&C::nul_bytes>(
            "NUL bytes: `error` stops, `replace` drops the byte, `skip` drops the document."),
        field<&C::byte_order_mark>(
            "Byte order marks (U+FEFF), at the start of a file or, after `cat`, inside it: `error` "
            "stops, `replace` drops the mark, `skip` drops the document."),
        field<&C::crlf>(
            "CRLF line ends: `error` stops, `replace` converts them to LF, `skip` drops "
            "the document."),
        field<&C::broken_json>(
            "Invalid JSON lines, and lines whose `text_field` is missing or not a string: `error` "
            "stops, `replace` substitutes an empty text, `skip` drops the line. `NaN` and "
            "`Infinity`, as written by Python, are allowed in other fields."),
        field<&C::long_lines>(
            "Lines longer than `max_line`: `error` stops, `replace` splits the line into parts of "
            "that size, `skip` drops it."),
        field<&C::max_line>("Maximum length of a line."),
        field<&C::max_overlap>(
            "Refuses text of which a larger share of the held-out tokens is contained in the "
            "training text, in sequences of 13 tokens (docs/metrics.md). 1: never. Does not change "
            "the prepared data.",
            config::Between{0, 1}, config::Affects::kLabel),
        field<&C::prepared_dir>(
            "Directory of the token shards, with one folder per fingerprint; shared by runs and "
            "users. Read permission suffices if all data is prepared.",
            config::NonEmpty{}, config::Affects::kPlace, config::Path{})};
  }
  static void check(const CorpusConfig& c, config::Problems& problems);
};

}  // namespace sluice::text
