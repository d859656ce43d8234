// The splits of a corpus. Code that handles each split uses kSplits or PerSplit, so a new row here
// covers everything: shards on disk, prepared.json, opening, verification, counts.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace sluice::data {

enum class Split { kTrain, kValid, kTune };

// Names of shards ("train-00000.tokens") and keys of prepared.json.
constexpr auto names_of(Split) {
  return std::array{std::pair{Split::kTrain, std::string_view("train")},
                    std::pair{Split::kValid, std::string_view("valid")},
                    std::pair{Split::kTune, std::string_view("tune")}};
}

inline constexpr auto kSplits = [] {
  constexpr auto names = names_of(Split{});
  std::array<Split, names.size()> splits{};
  for (std::size_t i = 0; i < names.size(); ++i) splits[i] = names[i].first;
  return splits;
}();
static_assert(
    [] {
      for (std::size_t i = 0; i < kSplits.size(); ++i)
        if (static_cast<std::size_t>(kSplits[i]) != i) return false;
      return true;
    }(),
    "names_of(Split) lists the splits in the order of the enumeration");

constexpr std::string_view split_name(Split split) {
  return names_of(split)[static_cast<std::size_t>(split)].second;
}
// For messages.
constexpr std::string_view split_words(Split split) {
  constexpr std::array<std::string_view, kSplits.size()> words{"training", "held-out", "tuning"};
  return words[static_cast<std::size_t>(split)];
}

// One value for each split.
template <class T>
class PerSplit {
 public:
  T& operator[](Split split) { return values_[static_cast<std::size_t>(split)]; }
  const T& operator[](Split split) const { return values_[static_cast<std::size_t>(split)]; }

 private:
  std::array<T, kSplits.size()> values_{};
};

}  // namespace sluice::data
