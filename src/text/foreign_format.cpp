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

// NUL bytes included.
template <std::size_t N>
constexpr std::string_view bytes(const char (&text)[N]) {
  return {text, N - 1};
}

// UTF-32 before UTF-16: the mark of the one begins with that of the other.
constexpr auto kKnown = std::to_array<Known>({
    {bytes("\xFF\xFE\0\0"), {"UTF-32 text", kUtf8}},
    {bytes("\0\0\xFE\xFF"), {"UTF-32 text", kUtf8}},
    {bytes("\xFF\xFE"), {"UTF-16 text", kUtf8}},
    {bytes("\xFE\xFF"), {"UTF-16 text", kUtf8}},
    {bytes("\xFD"
           "7zXZ\0"),
     {"xz data", kUnpacked}},
    {bytes("BZh"), {"bzip2 data", kUnpacked}},
    {bytes("\x04\x22\x4D\x18"), {"LZ4 data", kUnpacked}},
    {bytes("7z\xBC\xAF\x27\x1C"), {"a 7z archive", kUnpacked}},
    {bytes("PK\x03\x04"), {"a zip archive (as .docx and .epub are, too)", kUnpacked}},
    {bytes("%PDF-"), {"a PDF document", kExtracted}},
    {bytes("PAR1"), {"a Parquet file", kExtracted}},
    {bytes("ARROW1"), {"an Arrow file", kExtracted}},
    {bytes("\x89HDF"), {"an HDF5 file", kExtracted}},
    {bytes("SQLite "), {"an SQLite database", kExtracted}},
});

}  // namespace

ForeignFormat foreign_format(std::string_view first_bytes) {
  for (const Known& known : kKnown)
    if (first_bytes.starts_with(known.first_bytes)) return known.format;
  return {};
}

}  // namespace sluice::text
