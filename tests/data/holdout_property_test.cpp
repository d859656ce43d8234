// For any corpus and shares, using prepare(): the splits are disjoint and complete, added files
// move no document, and tuning text is never taken from the held-out text.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/text_format.h"
#include "data/holdout.h"
#include "data/prepared.h"
#include "tests/base/property.h"
#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

using sluice::testing::check_property;
using sluice::testing::TemporaryDirectory;
using sluice::testing::write_text;
using Texts = std::multiset<std::string>;

// The documents of each split, read from its shards.
std::map<std::string, Texts> prepared_splits(const TemporaryDirectory& folder, double holdout,
                                             double tune) {
  PrepareSettings settings;
  settings.corpus.train = {(folder / "corpus").string()};
  settings.corpus.prepared_dir = (folder / "prepared").string();
  settings.corpus.format = text::Format::kLines;
  settings.corpus.holdout = holdout;
  settings.corpus.tune_holdout = tune;
  settings.tokenizer = text::BytesConfig{};
  const std::filesystem::path directory = prepare(settings).directory;
  std::map<std::string, Texts> splits;
  for (const std::string name : {"train", "valid", "tune"}) {
    std::vector<std::filesystem::path> shards;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      const std::string file = entry.path().filename().string();
      if (file.starts_with(name + "-") && file.ends_with(".tokens")) shards.push_back(entry.path());
    }
    std::sort(shards.begin(), shards.end());
    const TokenStream stream = shards.empty() ? TokenStream() : TokenStream(shards);
    std::vector<std::int32_t> ids(stream.num_tokens());
    stream.read(0, ids);
    std::string document;
    for (const std::int32_t id : ids) {
      if (id == 256) {
        splits[name].insert(std::exchange(document, {}));
      } else {
        document += static_cast<char>(id);
      }
    }
    RC_ASSERT(document.empty());
  }
  return splits;
}

// Lines of a file, some of them duplicates.
std::string any_lines(const std::string& salt, int least) {
  const int count = *rc::gen::inRange(least, least + 200);
  std::string text;
  for (int i = 0; i < count; ++i) text += cat(salt, " document ", i % 7 == 0 ? i / 2 : i, '\n');
  return text;
}

Texts lines_of(const std::string& text) {
  Texts lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.insert(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

bool are_disjoint(const Texts& a, const Texts& b) {
  return std::none_of(a.begin(), a.end(),
                      [&](const std::string& text) { return b.contains(text); });
}

TEST(HoldoutProperty, SplitsAreDisjointCompleteAndStable) {
  check_property(12, [] {
    const TemporaryDirectory folder;
    const std::string salt = cat(*rc::gen::inRange(0, 1'000'000));
    const double share = *rc::gen::inRange(10, 40) / 100.0,
                 tune = *rc::gen::inRange(10, 40) / 100.0;
    const std::string text = any_lines(salt, 200), more = any_lines(salt + " more", 1);
    write_text(folder / "corpus/b.txt", text);
    const auto plain = prepared_splits(folder, share, 0),
               tuned = prepared_splits(folder, share, tune);
    write_text(folder / "corpus/a.txt", more);  // before the first file
    auto larger = prepared_splits(folder, share, tune);

    Texts all;
    for (const auto& [name, split] : tuned) all.insert(split.begin(), split.end());
    RC_ASSERT(all == lines_of(text));
    RC_ASSERT(are_disjoint(tuned.at("train"), tuned.at("valid")));
    RC_ASSERT(are_disjoint(tuned.at("train"), tuned.at("tune")));
    RC_ASSERT(are_disjoint(tuned.at("valid"), tuned.at("tune")));
    // Tuning text is taken only from the training text.
    RC_ASSERT(plain.at("valid") == tuned.at("valid"));
    RC_ASSERT(!plain.contains("tune"));
    // Added files do not move existing documents.
    const Texts added = lines_of(more);
    for (auto& [name, split] : larger) {
      std::erase_if(split, [&](const std::string& document) { return added.contains(document); });
      RC_ASSERT(split == tuned.at(name));
    }
  });
}

TEST(HoldoutProperty, HoldsOutTheRequestedShare) {
  check_property(40, [] {
    const auto begin = *rc::gen::inRange(0, 50) / 100.0, share = *rc::gen::inRange(1, 50) / 100.0;
    const auto salt = *rc::gen::arbitrary<std::uint64_t>();
    const Holdout range = Holdout::between(begin, begin + share);
    constexpr int kDocuments = 4000;
    int count = 0;
    for (int i = 0; i < kDocuments; ++i) count += range.contains(holdout_hash(cat(salt, ' ', i)));
    // Five standard deviations of a binomial count; the inputs are fixed.
    RC_ASSERT(std::fabs(count - kDocuments * share) <=
              5 * std::sqrt(kDocuments * share * (1 - share)));
  });
}

TEST(HoldoutProperty, CountSelectsTheLowestHashesInAnyOrder) {
  check_property(100, [] {
    const auto numbers = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 300));
    const auto count = *rc::gen::inRange<std::uint64_t>(0, 40);
    LowestHashes lowest(count);
    std::set<Hash128> distinct;
    for (const int number : numbers) {
      lowest.add(holdout_hash(cat(number)));
      distinct.insert(holdout_hash(cat(number)));
    }
    const Holdout holdout = lowest.holdout();
    std::uint64_t place = 0;
    for (const Hash128& hash : distinct) RC_ASSERT(holdout.contains(hash) == (place++ < count));
  });
}

}  // namespace
}  // namespace sluice::data
