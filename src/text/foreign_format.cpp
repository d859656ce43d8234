#include "text/foreign_format.h"

#include <array>

namespace sluice::text {
namespace {

constexpr std::string_view kUnpacked = "decompressed text, or gzip or zstd data";
constexpr std::string_view kExtracted = "text extracted to a file";
constexpr std::string_view kUtf8 = "UTF-8 text (convert it with `iconv`)";

struct Known {
  std::string_view first_bytes;
  ForeignFormat format;
};

// A view that includes NUL bytes.
template <std::size_t N>
constexpr std::string_view bytes(const char (&text)[N]) {
  return {text, N - 1};
}

// UTF-32 before UTF-16, whose byte order mark is a prefix of the UTF-32 mark.
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
    {bytes("PK\x03\x04"), {"a zip archive (also .docx, .epub)", kUnpacked}},
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
