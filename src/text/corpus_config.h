// Section `corpus`: where the text lies and how it is cut into documents.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "config/field.h"

namespace sluice::text {

enum class Format { kText, kLines, kParagraphs, kJsonl };
constexpr auto names_of(Format) {
  return std::array{std::pair{Format::kText, std::string_view("text")}, std::pair{Format::kLines, std::string_view("lines")},
                    std::pair{Format::kParagraphs, std::string_view("paragraphs")}, std::pair{Format::kJsonl, std::string_view("jsonl")}};
}

enum class Separator { kEos, kNone };
constexpr auto names_of(Separator) {
  return std::array{std::pair{Separator::kEos, std::string_view("eos")}, std::pair{Separator::kNone, std::string_view("none")}};
}

// What to do with a fault in the text. All three count; the first place (file, byte offset) is reported.
enum class Policy { kError, kReplace, kSkip };
constexpr auto names_of(Policy) {
  return std::array{std::pair{Policy::kError, std::string_view("error")}, std::pair{Policy::kReplace, std::string_view("replace")},
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
  std::string prepared_dir = "data/prepared";

  static constexpr auto fields() {
    using config::field;
    using C = CorpusConfig;
    return std::tuple{
        field<&C::train>(
            "Training text: files, directories or globs; plain, gzip or zstd. A directory is every regular file below it, hidden ones left "
            "out. In globs `**` is any number of directories; braces are not expanded. A file with several names (links, overlapping "
            "globs) is read once; to weight a file, copy it. Fifos and devices are refused: a corpus is read several times. Relative paths "
            "start from the working directory. `eval`, `verify` and `--resume` in another directory also look from where the run was "
            "started. A resume may name other paths to the same content (the bytes of the files, packed or not, in the order of their "
            "paths): other content is refused, and files that are gone are not missed while the paths are unchanged and the prepared "
            "data is there.",
            config::Path{"corpus"}),
        field<&C::valid>(
            "Held-out text, likewise. Where given, it wins over `holdout`. Documents that the training files have too (all their "
            "blocks of at most 64 KiB, byte for byte) are counted and warned of; where no block is new, it is refused.",
            config::Path{"held-out"}),
        field<&C::holdout>(
            "Held-out share of the training text: a fraction below 1, or a number of documents from 1 on. "
            "Chosen by hash of the document (of 64 KiB line-aligned blocks of longer ones), so it does not move when files are added.",
            config::NonNegative{}),
        field<&C::tune_holdout>("A further share of the training text, a fraction below 1, that neither training nor the held-out figures "
                                "see: for choosing settings. Chosen alike, next to the held-out share, which it never moves.",
                                config::NonNegative{}),
        field<&C::format>("What a document is: `text` a file, `lines` a line, `paragraphs` a block between blank lines, `jsonl` one field "
                          "of a JSON line."),
        field<&C::separator>("Between documents: `eos` the tokenizer's end token, `none` nothing. Attention crosses documents either way."),
        field<&C::text_field>("The field of a JSON line that holds the text.", config::NonEmpty{}),
        field<&C::invalid_utf8>("Bytes that are not UTF-8, and halves of surrogate pairs in JSON (`\\ud83d` alone): `error` stops, "
                                "`replace` puts U+FFFD, `skip` drops "
                                "the document."),
        field<&C::nul_bytes>("NUL bytes: `error` stops, `replace` drops the byte, `skip` drops the document."),
        field<&C::byte_order_mark>(
            "Byte order marks (U+FEFF), at the start of a file or inside it, as `cat` leaves them: `error` stops, `replace` drops the "
            "mark, `skip` drops the document it stands in."),
        field<&C::crlf>("Lines that end in CRLF: `error` stops, `replace` puts LF, `skip` drops the document."),
        field<&C::broken_json>("JSON lines that do not parse, or whose `text_field` is missing or no string: `error` stops, `replace` "
                               "takes an empty text, `skip` "
                               "drops the line. `NaN` and `Infinity`, as Python writes them, are allowed in other fields."),
        field<&C::long_lines>(
            "Lines longer than `max_line`: `error` stops, `replace` cuts the line in pieces of that size, `skip` drops it."),
        field<&C::max_line>("Longest line taken as it is."),
        field<&C::prepared_dir>(
            "Where token shards are kept, one folder per fingerprint; shared by runs and users: where everything is prepared, the right to "
            "read suffices.",
            config::NonEmpty{}, config::Affects::kPlace, config::Path{})};
  }
  static void check(const CorpusConfig& c, config::Problems& problems);
};

}  // namespace sluice::text
