#include "compare/grid.h"

#include <algorithm>

#include "base/error.h"
#include "base/text_format.h"
#include "config/scalars.h"
#include "config/write.h"

namespace sluice::compare {
namespace {

// Keeps quotes only if the plain word would be parsed differently.
std::string yaml_of(const config::Word& word) {
  return word.quoted ? config::quoted_if_needed(word.text) : word.text;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  return begin == std::string_view::npos
             ? ""
             : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = text.find(',');
    parts.emplace_back(trimmed(text.substr(0, comma)));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

// Ignores spaces around commas.
bool is_label(const Settings& settings, std::string_view name) {
  return split(report::label_of(settings)) == split(name);
}

bool matches_name(const Settings& settings, std::string_view name) {
  if (is_label(settings, name) || stem_of(settings) == name) return true;
  return std::any_of(settings.begin(), settings.end(),
                     [&](const auto& setting) { return setting.second == name; });
}

// Commas separate names if one key varies; otherwise they are part of a label.
std::vector<std::string> names_in(std::string_view text, const std::vector<Settings>& variants) {
  const auto is_one = [&](const Settings& settings) {
    return settings.size() > 1 || matches_name(settings, trimmed(text));
  };
  if (std::any_of(variants.begin(), variants.end(), is_one)) return {std::string(trimmed(text))};
  return split(text);
}

[[noreturn]] void fail_unknown_name(const std::string& name,
                                    const std::vector<Settings>& variants) {
  constexpr std::size_t kMaxListed = 40;
  std::vector<std::string> labels;
  for (const Settings& settings : variants) labels.push_back(report::label_of(settings));
  std::vector<std::string_view> names(labels.begin(), labels.end());
  for (const Settings& settings : variants) {
    for (const auto& [key, value] : settings) names.emplace_back(value);
  }
  const std::string_view nearest = config::nearest(name, names);
  std::string all;
  for (std::size_t i = 0; i < labels.size() && i < kMaxListed; ++i)
    all += cat("\n  \"", printable(labels[i], std::string::npos), '"');
  if (labels.size() > kMaxListed) all += cat("\n  ... and ", labels.size() - kMaxListed, " more");
  // fail() would escape the line feeds.
  throw UserError(
      ExitCode::kUsage,
      cat("--only: received `", printable(name), "`; expected a variant of this comparison",
          variants.front().size() > 1 ? " or a single value" : "",
          nearest.empty() ? "" : cat(" (did you mean `", printable(nearest), "`?)"), ":", all));
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
    return std::all_of(
        config.baseline.items.begin(), config.baseline.items.end(), [&](const auto& wanted) {
          return std::find(settings.begin(), settings.end(),
                           std::pair(wanted.first, yaml_of(wanted.second))) != settings.end();
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
      const bool is_safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
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

std::vector<std::size_t> select_variants(const std::vector<Settings>& variants,
                                         const std::vector<std::string>& only) {
  std::vector<bool> chosen(variants.size(), only.empty());
  for (const std::string& text : only) {
    for (const std::string& name : names_in(text, variants)) {
      bool any = false;
      for (std::size_t i = 0; i < variants.size(); ++i) {
        if (!matches_name(variants[i], name)) continue;
        chosen[i] = any = true;
      }
      if (!any) fail_unknown_name(name, variants);
    }
  }
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (chosen[i]) indices.push_back(i);
  }
  return indices;
}

std::vector<std::uint64_t> select_seeds(const std::vector<std::uint64_t>& seeds,
                                        const std::vector<std::uint64_t>& requested) {
  if (requested.empty()) return seeds;
  std::string all;
  for (const std::uint64_t seed : seeds) all += cat(all.empty() ? "" : ", ", seed);
  for (const std::uint64_t seed : requested) {
    if (std::find(seeds.begin(), seeds.end(), seed) == seeds.end())
      fail(ExitCode::kUsage, "--seeds", cat(seed),
           cat("seeds of compare.seeds (", all, "); add new seeds there"));
  }
  std::vector<std::uint64_t> chosen;
  for (const std::uint64_t seed : seeds) {
    if (std::find(requested.begin(), requested.end(), seed) != requested.end())
      chosen.push_back(seed);
  }
  return chosen;
}

}  // namespace sluice::compare
