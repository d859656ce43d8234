// Which key was meant where an unknown one came.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/describe.h"

namespace sluice::config {

// Every key of a description by its dotted path, sections and `type` included; of all alternatives.
class KeyPaths {
 public:
  explicit KeyPaths(const Section& root);

  bool has(std::string_view path) const;
  // Full paths for an unknown key `key` in the section at `parent` (empty: the root): keys of that
  // name in other sections, and keys that other programs call so; those in `parent` alone where
  // there are any.
  std::vector<std::string> meant(std::string_view parent, std::string_view key) const;
  // Full paths of keys that are spelt much like it, nearer than nearest() asks, since every key is
  // compared.
  std::vector<std::string> spelt_alike(std::string_view key) const;

 private:
  struct Key {
    std::string path, folded_name;
  };
  void add(const std::string& path);
  void add_rows(const Section& section, const std::string& path);
  void add_below(const Type& type, const std::string& path);
  std::vector<Key> keys_;
};

// "a`, `b` or `c": at most three, for a message that puts the whole between backticks.
std::string alternatives(const std::vector<std::string>& paths);

}  // namespace sluice::config
