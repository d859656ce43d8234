#include "text/foreign_format.h"

#include <array>

namespace sluice::text {
namespace {

constexpr std::string_view kUnpacked = "the text inside it; gzip and zstd are the two that are read as they are";
constexpr std::string_view kExtracted = "the text inside it, extracted into a file of its own";
constexpr std::string_view kUtf8 = "UTF-8 text, which `iconv` writes";

struct Known {
  std::string_view first_bytes;
  ForeignFormat format;
};

using std::string_view_literals::operator""sv;

// UTF-32 before UTF-16: the mark of the one begins with that of the other.
constexpr auto kKnown = std::to_array<Known>({
    {"\xFF\xFE\0\0"sv, {"UTF-32 text", kUtf8}},
    {"\0\0\xFE\xFF"sv, {"UTF-32 text", kUtf8}},
    {"\xFF\xFE"sv, {"UTF-16 text", kUtf8}},
    {"\xFE\xFF"sv, {"UTF-16 text", kUtf8}},
    {"\xFD"
     "7zXZ\0"sv,
     {"xz data", kUnpacked}},
    {"BZh"sv, {"bzip2 data", kUnpacked}},
    {"\x04\x22\x4D\x18"sv, {"LZ4 data", kUnpacked}},
    {"7z\xBC\xAF\x27\x1C"sv, {"a 7z archive", kUnpacked}},
    {"PK\x03\x04"sv, {"a zip archive (as .docx and .epub are, too)", kUnpacked}},
    {"%PDF-"sv, {"a PDF document", kExtracted}},
    {"PAR1"sv, {"a Parquet file", kExtracted}},
    {"ARROW1"sv, {"an Arrow file", kExtracted}},
    {"\x89HDF"sv, {"an HDF5 file", kExtracted}},
    {"SQLite "sv, {"an SQLite database", kExtracted}},
});

}  // namespace

ForeignFormat foreign_format(std::string_view first_bytes) {
  for (const Known& known : kKnown)
    if (first_bytes.starts_with(known.first_bytes)) return known.format;
  return {};
}

}  // namespace sluice::text
