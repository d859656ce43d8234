#include "base/scratch_directory.h"

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice {

namespace fs = std::filesystem;

ScratchDirectory::ScratchDirectory(std::string_view prefix) {
  std::string name = (fs::temp_directory_path() / cat(prefix, "XXXXXX")).string();
  require(::mkdtemp(name.data()) != nullptr, ExitCode::kIo, name,
          "cannot create a temporary directory; set TMPDIR to a writable directory");
  path_ = name;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  if (!is_kept_) fs::remove_all(path_, ignored);
}

}  // namespace sluice
