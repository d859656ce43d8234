#include "compare/grid.h"

#include <algorithm>

#include "base/error.h"
#include "base/text_format.h"
#include "config/scalars.h"
#include "config/write.h"

namespace sluice::compare {
namespace {

// Quotes stay only where the plain word would be read as something else.
std::string yaml_of(const config::Word& word) { return word.quoted ? config::quoted_if_needed(word.text) : word.text; }

bool is_called(const Settings& settings, std::string_view name) {
  if (report::label_of(settings) == name || stem_of(settings) == name) return true;
  return std::any_of(settings.begin(), settings.end(), [&](const auto& setting) { return setting.second == name; });
}

}  // namespace

std::vector<Settings> expand(const ValueLists& lists) {
  std::vector<Settings> grid{{}};
  for (const auto& [key, values] : lists.items) {
    std::vector<Settings> longer;
    for (const Settings& settings : grid) {
      for (const config::Word& value : values) {
        longer.push_back(settings);
        longer.back().emplace_back(key, yaml_of(value));
      }
    }
    grid = std::move(longer);
  }
  return grid;
}

std::size_t baseline_of(const CompareConfig& config) {
  if (config.baseline.items.empty()) return 0;
  const std::vector<Settings> grid = expand(config.vary);
  const auto found = std::find_if(grid.begin(), grid.end(), [&](const Settings& settings) {
    return std::all_of(config.baseline.items.begin(), config.baseline.items.end(), [&](const auto& wanted) {
      return std::find(settings.begin(), settings.end(), std::pair(wanted.first, yaml_of(wanted.second))) != settings.end();
    });
  });
  invariant(found != grid.end(), "a checked baseline is one of the variants");
  return static_cast<std::size_t>(found - grid.begin());
}

std::string stem_of(const Settings& settings) {
  constexpr std::size_t kMaxBytes = 60;
  std::string stem;
  for (const auto& [key, value] : settings) {
    if (!stem.empty()) stem += '-';
    for (const char c : value) {
      const bool is_safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
      stem += is_safe ? c : '_';
    }
  }
  if (stem.empty() || stem.front() == '.' || stem.front() == '-') stem.insert(stem.begin(), '_');
  return stem.substr(0, kMaxBytes);
}

std::vector<std::string> overrides_of(const Settings& settings) {
  std::vector<std::string> overrides;
  for (const auto& [key, value] : settings) overrides.push_back(cat(key, '=', value));
  return overrides;
}

std::vector<std::size_t> select_variants(const std::vector<Settings>& variants, const std::vector<std::string>& only) {
  std::vector<bool> chosen(variants.size(), only.empty());
  std::vector<std::string> labels;
  for (const Settings& settings : variants) labels.push_back(report::label_of(settings));
  for (const std::string& name : only) {
    bool any = false;
    for (std::size_t i = 0; i < variants.size(); ++i) {
      if (!is_called(variants[i], name)) continue;
      chosen[i] = any = true;
    }
    if (any) continue;
    const std::vector<std::string_view> names(labels.begin(), labels.end());
    const std::string_view near = config::nearest(name, names);
    std::string all;
    for (const std::string& label : labels) all += cat(all.empty() ? "" : ", ", label);
    fail(ExitCode::kUsage, "--only", cat('`', printable(name), '`'),
         cat("a variant of this comparison: ", all, near.empty() ? "" : cat(" (did you mean `", near, "`?)")));
  }
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (chosen[i]) indices.push_back(i);
  }
  return indices;
}

std::vector<std::uint64_t> select_seeds(const std::vector<std::uint64_t>& seeds, const std::vector<std::uint64_t>& asked) {
  if (asked.empty()) return seeds;
  std::string all;
  for (const std::uint64_t seed : seeds) all += cat(all.empty() ? "" : ", ", seed);
  for (const std::uint64_t seed : asked) {
    if (std::find(seeds.begin(), seeds.end(), seed) == seeds.end())
      fail(ExitCode::kUsage, "--seeds", cat(seed), cat("seeds of compare.seeds (", all, "); add it there for one more"));
  }
  std::vector<std::uint64_t> chosen;
  for (const std::uint64_t seed : seeds) {
    if (std::find(asked.begin(), asked.end(), seed) != asked.end()) chosen.push_back(seed);
  }
  return chosen;
}

}  // namespace sluice::compare
