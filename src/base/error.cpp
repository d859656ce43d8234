#include "base/error.h"

namespace sluice {

void fail(ExitCode code, std::string_view subject, std::string_view received, std::string_view expected) {
  std::string message(subject);
  message.append(": ").append(received);
  if (!expected.empty()) message.append("; ").append(expected);
  throw UserError(code, message);
}

void invariant(bool ok, std::string_view what) {
  if (!ok) throw InvariantError(std::string(what));
}

}  // namespace sluice
