// Compiles programs and keeps the results on disk.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "gpu/device.h"

namespace sluice::gpu {

// The texts that a program needs, `main` first, "settings.h" included. InvariantError if a text
// includes one that is not part of the program.
struct Sources {
  std::vector<Text> texts;
};
Sources sources_of(const Program& program, std::string_view settings);

class Compiler {
 public:
  virtual ~Compiler() = default;
  // Whatever the binary depends on besides the texts: version, target, options.
  virtual std::string identity() const = 0;
  // InvariantError with the compiler's messages if the texts do not compile.
  virtual std::string compile(const Sources& sources) const = 0;
};

// Binaries as files of `directory`, named after the hash of everything they depend on. Several
// processes may share it. If it cannot be written, a warning is logged and programs are compiled
// again in each process.
class KernelCache {
 public:
  // `compiler` is borrowed.
  KernelCache(const Compiler& compiler, std::filesystem::path directory);
  std::string binary_of(const Program& program, std::string_view settings);

 private:
  const Compiler& compiler_;
  std::filesystem::path directory_;
  bool warned_ = false;
};

// $SLUICE_CACHE, else $XDG_CACHE_HOME/sluice, else ~/.cache/sluice; and in it "kernels".
std::filesystem::path default_cache_directory();

}  // namespace sluice::gpu
