#include "base/error.h"

#include "base/text_format.h"

namespace sluice {

// Messages contain file names, values and data: escaping keeps each message on one line and
// prevents terminal control sequences.
void fail(ExitCode code, std::string_view subject, std::string_view statement) {
  throw UserError(code, cat(printable(subject, std::string::npos), ": ",
                            printable(statement, std::string::npos)));
}

void fail(ExitCode code, std::string_view subject, std::string_view received,
          std::string_view expected) {
  fail(code, subject, cat("received ", received, "; expected ", expected));
}

void invariant(bool ok, std::string_view what) {
  if (!ok) throw InvariantError(std::string(what));
}

}  // namespace sluice
