// Lets child processes, or threads of one, time their work during the same period, although their
// start-up differs.
// Each marks the stages that it has reached by files in a directory of their parent.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

namespace sluice {

class Rendezvous {
 public:
  // For the parent: the environment variable "NAME=VALUE" of `num` children. `directory` must exist
  // and be empty. `seconds`: how long each child should work; 0 leaves it to the child.
  static std::string variable(std::size_t num, double seconds,
                              const std::filesystem::path& directory);
  // For a child: nullopt without the variable, or if its value is malformed.
  static std::optional<Rendezvous> from_environment();

  double seconds() const { return seconds_; }
  // Marks `stage` (a word) as reached by this thread.
  void arrive(const std::string& stage) const;
  // Whether all have reached it.
  bool is_complete(const std::string& stage) const;
  // Arrives and waits for the others. Polls base/signals.h; the parent must end all of them if
  // one of them fails.
  void meet(const std::string& stage) const;

 private:
  Rendezvous(std::size_t num, double seconds, std::filesystem::path directory);

  std::size_t num_;
  double seconds_;
  std::filesystem::path directory_;
};

}  // namespace sluice
