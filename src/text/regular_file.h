// Corpora and tokenizers are regular files: they are read several times, which a fifo or a socket does not allow, and a device has no end.
#pragma once

#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <string_view>

namespace sluice::text {

// "a fifo", "a directory" and so on, by st_mode.
std::string_view kind_of_file(mode_t mode);

// Opens for reading without ever waiting, as fopen(file, "rb") would for a fifo's writer. kMissingInput for what is missing or no regular
// file. The caller closes it.
std::FILE* open_regular_file(const std::filesystem::path& file);

// kMissingInput for what is there but no regular file; what is missing, reading finds out.
void require_regular_file(const std::filesystem::path& file);

}  // namespace sluice::text
