// Looks texts up in a SentencePiece "precompiled charsmap" (charsmap_check.h has the layout).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::text {

class Charsmap {
 public:
  explicit Charsmap(std::string table)
      : table_(std::move(table)) {}  // fault_of_charsmap() is empty
  // The replacement of the shortest prefix of `text` that has one.
  std::optional<std::string_view> replacement(std::string_view text) const;

 private:
  std::string table_;
};

}  // namespace sluice::text
