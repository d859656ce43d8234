#include "compare/compare_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/text_format.h"
#include "compare/grid.h"

namespace sluice::compare {
namespace {

constexpr std::size_t kMaxCells = 10'000;

void check_lists(const ValueLists& lists, const std::string& path, config::Problems& problems) {
  std::size_t num_cells = 1;
  for (const auto& [key, values] : lists.items) {
    const std::string place = path.empty() ? key : cat(path, '.', key);
    std::set<std::string> seen;
    for (const config::Word& value : values) {
      if (!seen.insert(value.text).second)
        problems.add(place, cat('`', value.text, "` twice"), "each value once");
    }
    num_cells = std::min(num_cells * values.size(), kMaxCells + 1);
  }
  if (num_cells > kMaxCells)
    problems.add(path, "too many combinations", cat("at most ", kMaxCells));
}

// Per-token metrics of different tokenizers are not comparable.
void check_tokenizers(const CompareConfig& c, config::Problems& problems) {
  const auto is_tokenizer = [](const auto& item) {
    return item.first == "tokenizer" || item.first.starts_with("tokenizer.");
  };
  const bool varies = std::any_of(c.vary.items.begin(), c.vary.items.end(), is_tokenizer);
  if (varies && c.metric == Metric::kLogPerplexity)
    problems.add("metric", "`log_perplexity` with different tokenizers",
                 "bits_per_byte, independent of the tokenizer");
  if (c.tune && std::any_of(c.tune->grid.items.begin(), c.tune->grid.items.end(), is_tokenizer))
    problems.add("tune", "a tokenizer key", "keys with no effect on the tokenizer");
}

template <class Items>
auto find_key(const Items& items, std::string_view key) {
  return std::find_if(items.begin(), items.end(),
                      [&](const auto& item) { return item.first == key; });
}

void check_seeds(const std::vector<std::uint64_t>& seeds, std::string_view field,
                 config::Problems& problems) {
  std::set<std::uint64_t> seen;
  for (const std::uint64_t seed : seeds) {
    if (!seen.insert(seed).second) problems.add(field, cat(seed, " twice"), "each seed once");
  }
}

void check_looks(const CompareConfig& c, config::Problems& problems) {
  if (c.looks.empty()) return;
  std::uint64_t last = 1;
  for (const std::uint64_t look : c.looks) {
    if (look <= last) problems.add("looks", cat(look), "ascending numbers of seeds, at least 2");
    last = look;
  }
  if (last != c.seeds.size())
    problems.add("looks", cat(last, " as the last look"),
                 cat(c.seeds.size(), ", as many as seeds"));
}

void check_baseline(const CompareConfig& c, config::Problems& problems) {
  if (c.baseline.items.empty()) return;
  for (const auto& [key, values] : c.vary.items) {
    const auto given = find_key(c.baseline.items, key);
    if (given == c.baseline.items.end())
      problems.add(cat("baseline.", key), "missing", "a value for each key of vary");
  }
  for (const auto& [key, value] : c.baseline.items) {
    const auto varied = find_key(c.vary.items, key);
    if (varied == c.vary.items.end()) {
      problems.add(cat("baseline.", key), cat('`', value.text, '`'), "only keys of vary");
    } else if (std::find(varied->second.begin(), varied->second.end(), value) ==
               varied->second.end()) {
      std::string names;
      for (const config::Word& one : varied->second)
        names += cat(names.empty() ? "" : ", ", one.text);
      problems.add(cat("baseline.", key), cat('`', value.text, '`'),
                   cat("one of ", names, ", as in vary"));
    }
  }
}

void check_groups(const CompareConfig& c, config::Problems& problems) {
  const auto repeat = static_cast<std::uint64_t>(c.tune->repeat);
  if (c.seeds.size() % repeat != 0)
    problems.add("tune.repeat", cat(repeat),
                 cat("a divisor of the number of compare.seeds, ", c.seeds.size()));
  if (c.tune->seeds.size() % repeat != 0)
    problems.add("tune.seeds", count_of(static_cast<std::int64_t>(c.tune->seeds.size()), "seed"),
                 cat("the same number for each of the ", repeat, " groups of tune.repeat"));
  const std::uint64_t size = std::max<std::uint64_t>(c.seeds.size() / repeat, 1);
  for (const std::uint64_t look : c.looks)
    if (repeat > 1 && look % size != 0)
      problems.add("looks", cat(look), cat("whole groups of tune.repeat, of ", size, " seeds"));
}

void check_tune(const CompareConfig& c, config::Problems& problems) {
  check_groups(c, problems);
  check_lists(c.tune->grid, "tune", problems);
  check_seeds(c.tune->seeds, "tune.seeds", problems);
  for (const auto& [key, values] : c.tune->grid.items) {
    if (find_key(c.vary.items, key) != c.vary.items.end())
      problems.add(cat("tune.", key), "a key of vary", "a key not listed in vary");
  }
  for (const std::uint64_t seed : c.tune->seeds) {
    if (std::find(c.seeds.begin(), c.seeds.end(), seed) != c.seeds.end())
      problems.add("tune.seeds", cat("seed ", seed, " of compare.seeds"),
                   "separate seeds, to keep tuning independent of the reported runs");
  }
}

}  // namespace

std::size_t num_groups(const CompareConfig& config) {
  return config.tune ? static_cast<std::size_t>(config.tune->repeat) : 1;
}

std::size_t group_size(const CompareConfig& config) {
  return num_groups(config) == 1 ? 1 : config.seeds.size() / num_groups(config);
}

std::size_t group_of(const CompareConfig& config, std::uint64_t seed) {
  return group_of(config.seeds, num_groups(config), seed);
}

std::size_t group_of(const std::vector<std::uint64_t>& seeds, std::size_t num_groups,
                     std::uint64_t seed) {
  const auto place = std::find(seeds.begin(), seeds.end(), seed);
  return static_cast<std::size_t>(place - seeds.begin()) * num_groups / seeds.size();
}

std::vector<std::uint64_t> tuning_seeds(const TuneConfig& config, std::size_t group) {
  const auto size =
      static_cast<std::ptrdiff_t>(config.seeds.size()) / static_cast<std::ptrdiff_t>(config.repeat);
  const auto first = config.seeds.begin() + size * static_cast<std::ptrdiff_t>(group);
  return {first, first + size};
}

std::vector<std::int64_t> looks_of(const CompareConfig& config) {
  return {config.looks.begin(), config.looks.end()};
}

std::optional<double> assumed_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(number)
             ? std::optional(number)
             : std::nullopt;
}

void CompareConfig::check(const CompareConfig& c, config::Problems& problems) {
  check_lists(c.vary, "vary", problems);
  check_seeds(c.seeds, "seeds", problems);
  check_looks(c, problems);
  check_baseline(c, problems);
  check_tokenizers(c, problems);
  if (c.tune) check_tune(c, problems);
  const auto std = c.assumed_std ? assumed_number(*c.assumed_std) : std::nullopt;
  if (std && !(*std > 0))
    problems.add("assumed_std", *c.assumed_std, "a number greater than 0, or a directory");
  const bool varies_steps =
      std::any_of(c.vary.items.begin(), c.vary.items.end(), [](const auto& item) {
        return item.first == "train.steps" || item.first == "train.tokens" ||
               item.first == "train.epochs";
      });
  if (varies_steps && c.equalize == Equalize::kTime)
    problems.add("equalize", "`time` with varied training length", "`steps`");
}

}  // namespace sluice::compare
