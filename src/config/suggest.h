// Suggestions for unknown keys.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/describe.h"

namespace sluice::config {

// The dotted paths of all keys, including sections, `type` and the keys of every alternative.
class KeyPaths {
 public:
  explicit KeyPaths(const Section& root);

  bool has(std::string_view path) const;
  // Full paths for an unknown key in the section `parent` (empty: the root): keys of the same name
  // in other sections, and keys with that alias. If any are in `parent`, only those.
  std::vector<std::string> candidates(std::string_view parent, std::string_view key) const;
  // Full paths of keys with similar spelling. Stricter than nearest(), since all keys are compared.
  std::vector<std::string> similar(std::string_view key) const;

 private:
  struct Key {
    std::string path, folded_name;
  };
  void add(const std::string& path);
  void add_rows(const Section& section, const std::string& path);
  void add_below(const Type& type, const std::string& path);
  std::vector<Key> keys_;
};

// "a`, `b` or `c": at most three; the caller adds the outer backticks.
std::string alternatives(const std::vector<std::string>& paths);

}  // namespace sluice::config
