// Corpora and tokenizers must be regular files: they are read several times, which FIFOs and
// sockets do not allow, and devices may be endless.
#pragma once

#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <string_view>

namespace sluice::text {

// The file type in `mode` (st_mode): "a FIFO", "a directory", ...
std::string_view kind_of_file(mode_t mode);

// Opens a file for reading; unlike fopen(), never waits for the writer of a FIFO. kMissingInput if
// the file is missing or not a regular file. The caller closes it.
std::FILE* open_regular_file(const std::filesystem::path& file);

// kMissingInput if the file exists but is not a regular file.
void require_regular_file(const std::filesystem::path& file);

}  // namespace sluice::text
