#include "base/error.h"

#include "base/text_format.h"

namespace sluice {

// Names of files, values and data enter messages here: none of them can break the line or reach the terminal
// as a command.
void fail(ExitCode code, std::string_view subject, std::string_view received, std::string_view expected) {
  std::string message = printable(subject, std::string::npos);
  message.append(": ").append(printable(received, std::string::npos));
  if (!expected.empty()) message.append("; ").append(printable(expected, std::string::npos));
  throw UserError(code, message);
}

void invariant(bool ok, std::string_view what) {
  if (!ok) throw InvariantError(std::string(what));
}

}  // namespace sluice
