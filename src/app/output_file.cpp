#include "app/output_file.h"

#include <filesystem>

#include "base/error.h"
#include "base/text_format.h"
#include "store/run_directory.h"

namespace sluice::app {

void check_output_file(std::string_view option, const std::string& path, const std::string& input) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return;
  require(input.empty() || !fs::equivalent(path, input, ignored), ExitCode::kUsage, option,
          cat(printable(path), ", the input file"), "another file");
  if (fs::path(path).filename() == "report.html") return;
  const fs::path file = fs::canonical(path, ignored);
  for (fs::path folder = file.parent_path(); folder.has_relative_path();
       folder = folder.parent_path())
    require(!store::is_run_directory(folder), ExitCode::kUsage, option,
            cat(printable(path), ", a file of the run ", printable(folder.string())),
            "a file that does not exist, or one outside the run");
}

}  // namespace sluice::app
