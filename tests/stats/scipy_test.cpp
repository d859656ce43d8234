// Compares summary, power and held-out error on random input with scipy (scipy_oracle.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "stats/held_out_error.h"
#include "stats/looks.h"
#include "stats/power.h"
#include "stats/summary.h"
#include "tests/base/temporary_directory.h"
#include "tests/stats/random_table.h"

namespace sluice::stats {
namespace {

using Json = nlohmann::json;

Json ask_scipy(const Json& request) {
  const sluice::testing::TemporaryDirectory directory;
  std::ofstream(directory.path() / "in.json") << request;
  const std::string command = std::string("OMP_NUM_THREADS=1 '") + SLUICE_PYTHON + "' '" +
                              SLUICE_SOURCE_DIR + "/tests/stats/scipy_oracle.py' < '" +
                              (directory.path() / "in.json").string() + "' > '" +
                              (directory.path() / "out.json").string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream out(directory.path() / "out.json");
  return Json::parse(out);
}

void expect_near(double ours, const Json& theirs, const std::string& what) {
  const double expected = theirs.get<double>();
  EXPECT_NEAR(ours, expected, 1e-9 * std::abs(expected) + 1e-13) << what;
}

struct TableCase {
  std::vector<double> values;
  std::size_t num_variants, baseline;
  double level;
  std::size_t num_broken = 0;  // additional variants with a diverged run
};
constexpr double kMargin = 0.01;

std::vector<TableCase> table_cases() {
  std::vector<TableCase> cases;
  for (std::uint64_t trial = 0; trial < 40; ++trial) {
    const std::uint64_t key = random_key(trial, "table");
    const std::size_t v = 2 + random_below(key, 0, 8);
    testing::Truth truth{.seed_std = 0.02, .num_seeds = 2 + random_below(key, 1, 9)};
    for (std::size_t i = 0; i < v; ++i) {
      truth.effects.push_back(0.01 * random_normal(key, 10 + i));
      truth.stds.push_back(0.002 + 0.008 * random_uniform(key, 30 + i));
    }
    const std::size_t num_broken = trial % 3;
    cases.push_back({testing::random_values(truth, key), v, random_below(key, 2, v),
                     trial % 3 == 0 ? 0.01 : 0.05, num_broken});
  }
  return cases;
}

Json rows_of(const TableCase& c) {
  Json rows;
  const std::size_t num_seeds = c.values.size() / c.num_variants;
  for (std::size_t i = 0; i < c.num_variants; ++i) {
    const auto begin = c.values.begin() + static_cast<std::ptrdiff_t>(i * num_seeds);
    rows.push_back(std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(num_seeds)));
  }
  return rows;
}

void expect_bound(double ours, const Json& theirs, const std::string& what) {
  EXPECT_EQ(std::isfinite(ours), !theirs.is_null()) << what;
  if (theirs.is_null()) return;
  EXPECT_NEAR(ours, theirs.get<double>(), 1e-8) << what;
}

bool share_a_letter(const std::string& a, const std::string& b) {
  return a.find_first_of(b) != std::string::npos;
}

std::string_view text_of(Conclusion conclusion) {
  switch (conclusion) {
    case Conclusion::kNone:
      return "none";
    case Conclusion::kBetter:
      return "better";
    case Conclusion::kWorse:
      return "worse";
    case Conclusion::kEquivalent:
      return "equivalent";
    case Conclusion::kUndecided:
      return "undecided";
  }
  return "";
}

// The conclusion, the seeds that would decide, and the seeds in which the variant is better.
void expect_same_verdict(const Difference& ours, const Json& theirs, const std::string& name) {
  constexpr std::int64_t kMostSeeds = 500;  // MOST_SEEDS
  EXPECT_EQ(text_of(ours.conclusion), theirs.at("conclusion").get<std::string>()) << name;
  EXPECT_EQ(ours.num_better, theirs.at("num_better").get<std::size_t>()) << name;
  expect_near(ours.better_rate->low, theirs.at("rate")[0], name + "low rate");
  expect_near(ours.better_rate->high, theirs.at("rate")[1], name + "high rate");
  if (theirs.at("seeds_to_decide").is_null())
    EXPECT_TRUE(ours.conclusion != Conclusion::kUndecided ||
                ours.seeds_to_decide.value_or(kMostSeeds + 1) > kMostSeeds)
        << name;
  else
    EXPECT_EQ(ours.seeds_to_decide, theirs.at("seeds_to_decide").get<std::int64_t>()) << name;
}

void expect_equal(const TableCase& c, const Json& theirs, const std::string& name) {
  const std::size_t num_seeds = c.values.size() / c.num_variants;
  Table table(c.num_variants + c.num_broken, num_seeds);
  for (std::size_t i = 0; i < c.num_variants + c.num_broken; ++i)
    for (std::size_t j = i < c.num_variants ? 0 : 1; j < num_seeds; ++j)
      table.set(i, j, c.values[(i % c.num_variants) * num_seeds + j]);
  for (std::size_t k = 0; k < c.num_broken; ++k) table.set_broken(c.num_variants + k, 0);
  const Summary ours = summarize(table, c.baseline, {.level = c.level, .margin = kMargin});
  EXPECT_EQ(ours.num_comparisons, c.num_variants - 1) << name;
  expect_near(*ours.residual_std, theirs.at("residual_std"), name + "residual");
  EXPECT_EQ(ours.residual_df, theirs.at("df").get<double>());
  std::size_t k = 0, pair = 0;
  for (std::size_t i = 0; i < c.num_variants; ++i) {
    const VariantSummary& variant = ours.variants[i];
    expect_near(*variant.mean, theirs.at("mean")[i], name + "mean");
    expect_near(*variant.std, theirs.at("std")[i], name + "std");
    for (std::size_t other = i + 1; other < c.num_variants; ++other, ++pair) {
      const bool differ = theirs.at("pairs_p")[pair].get<double>() <= c.level;
      EXPECT_EQ(share_a_letter(variant.letters, ours.variants[other].letters), !differ)
          << name << i << " and " << other;
    }
    EXPECT_EQ(variant.difference.has_value(), i != c.baseline);
    if (i == c.baseline) continue;
    const Difference& difference = *variant.difference;
    expect_near(difference.value, theirs.at("difference")[k], name + "difference");
    expect_bound(difference.interval->low, theirs.at("low")[k], name + "low");
    expect_bound(difference.interval->high, theirs.at("high")[k], name + "high");
    expect_near(*difference.flip_p, theirs.at("flip_p")[k], name + "flip_p");
    if (!theirs.at("permutation_p").is_null())
      expect_near(*difference.flip_p, theirs.at("permutation_p"), name + "permutation_p");
    expect_same_verdict(difference, theirs.at("verdicts")[k], name);
    expect_near(*difference.p, theirs.at("p")[k], name + "p");
    expect_near(*difference.p_holm, theirs.at("p_holm")[k], name + "p_holm");
    expect_near(*difference.paired_p, theirs.at("paired_p")[k], name + "paired_p");
    expect_near(*difference.paired_p_holm, theirs.at("paired_p_holm")[k], name + "paired_p_holm");
    ++k;
  }
}

std::vector<Design> designs() {
  std::vector<Design> result;
  for (const std::int64_t variants : {2, 3, 8, 12})
    for (const std::int64_t seeds : {8, 9, 12, 20})
      result.push_back({.num_variants = variants,
                        .num_seeds = seeds,
                        .std = 0.005 + 0.001 * static_cast<double>(seeds),
                        .level = variants == 3 ? 0.01 : 0.05,
                        .power = seeds == 9 ? 0.95 : 0.8});
  return result;
}

struct DocumentsCase {
  std::vector<std::vector<DocumentLoss>> variant, baseline;  // by seed

  std::vector<DocumentPair> pairs() const {
    std::vector<DocumentPair> result;
    for (std::size_t j = 0; j < variant.size(); ++j) result.push_back({variant[j], baseline[j]});
    return result;
  }
};

DocumentsCase documents_case(std::uint64_t trial) {
  const std::uint64_t key = random_key(trial, "documents"),
                      num_documents = 2 + random_below(key, 0, 50), num_seeds = 1 + trial % 4;
  DocumentsCase result;
  for (std::uint64_t j = 0; j < num_seeds; ++j) {
    result.variant.emplace_back();
    result.baseline.emplace_back();
    for (std::uint64_t k = 0; k < num_documents; ++k) {
      const std::uint64_t targets = 1 + random_below(key, 100 + k, 400);
      const double size = static_cast<double>(targets);
      result.baseline.back().push_back(
          {size * (3 + 0.3 * random_normal(key, 1000 * (j + 1) + k)), targets});
      result.variant.back().push_back(
          {size * (3 + 0.3 * random_normal(key, 1000 * (j + 1) + 500 + k)), targets});
    }
  }
  return result;
}

Json nats_of(const std::vector<std::vector<DocumentLoss>>& seeds) {
  Json rows;
  for (const auto& documents : seeds) {
    Json row;
    for (const DocumentLoss& document : documents) row.push_back(document.nats);
    rows.push_back(row);
  }
  return rows;
}

struct LooksCase {
  std::vector<std::int64_t> looks;
  Spending spending;
  double level;
};

std::vector<LooksCase> looks_cases() {
  std::vector<LooksCase> cases;
  for (std::uint64_t trial = 0; trial < 60; ++trial) {
    const std::uint64_t key = random_key(trial, "looks");
    LooksCase c{.looks = {},
                .spending = trial % 2 == 0 ? Spending::kObrienFleming : Spending::kPocock,
                .level = trial % 3 == 0 ? 0.01 : 0.05};
    std::int64_t seeds = 1;
    for (std::uint64_t k = 0; k < 1 + trial % 5; ++k)
      c.looks.push_back(seeds += 1 + static_cast<std::int64_t>(random_below(key, k, 6)));
    cases.push_back(c);
  }
  return cases;
}

// More seeds than are enumerated. Weak effects, so that p is not near 0.
std::vector<TableCase> large_cases() {
  std::vector<TableCase> cases;
  for (std::uint64_t trial = 0; trial < 12; ++trial) {
    const std::uint64_t key = random_key(trial, "large");
    const std::size_t v = 2 + trial % 4;
    testing::Truth truth{.num_seeds = trial < 8 ? 17 + trial % 2 : 24};
    for (std::size_t i = 0; i < v; ++i) {
      truth.effects.push_back(0.002 * random_normal(key, 10 + i));
      truth.stds.push_back(0.002 + 0.004 * random_uniform(key, 30 + i));
    }
    cases.push_back({testing::random_values(truth, key), v, 0, 0.05});
  }
  return cases;
}

// Two samples of the flips agree up to five standard errors.
void expect_sampled_p(const TableCase& c, const Json& theirs, const std::string& name) {
  const Summary ours = summarize(testing::table_of(c.num_variants, c.values), 0, {.key = 7});
  for (std::size_t k = 0; k + 1 < c.num_variants; ++k) {
    const double p = theirs[k].get<double>(),
                 error = std::sqrt(p * (1 - p) * (1 / 32'768.0 + 1 / 200'000.0));
    EXPECT_NEAR(*ours.variants[k + 1].difference->flip_p, p, 5 * error + 1 / 32'768.0) << name << k;
  }
}

constexpr double kDifference = 0.01;

TEST(Scipy, LooksAndSampledFlipsAgree) {
  Json request = {{"tables", Json::array()},
                  {"designs", Json::array()},
                  {"documents", Json::array()},
                  {"looks", Json::array()},
                  {"large", Json::array()}};
  for (const LooksCase& c : looks_cases())
    request["looks"].push_back(
        {{"looks", c.looks},
         {"spending", c.spending == Spending::kPocock ? "pocock" : "obrien_fleming"},
         {"level", c.level}});
  for (const TableCase& c : large_cases()) request["large"].push_back({{"values", rows_of(c)}});

  const Json answer = ask_scipy(request);
  for (std::size_t i = 0; i < looks_cases().size(); ++i) {
    const LooksCase c = looks_cases()[i];
    const std::vector<double> ours = look_levels(c.looks, c.spending, c.level);
    ASSERT_EQ(ours.size(), answer.at("looks").at(i).size());
    for (std::size_t k = 0; k < ours.size(); ++k)
      expect_near(ours[k], answer.at("looks").at(i).at(k), "looks " + std::to_string(i));
  }
  for (std::size_t i = 0; i < large_cases().size(); ++i)
    expect_sampled_p(large_cases()[i], answer.at("large").at(i),
                     "sampled flips " + std::to_string(i) + " ");
}

TEST(Scipy, EveryFigureAgrees) {
  Json request = {{"tables", Json::array()},
                  {"designs", Json::array()},
                  {"documents", Json::array()},
                  {"looks", Json::array()},
                  {"large", Json::array()}};
  for (const TableCase& c : table_cases())
    request["tables"].push_back({{"values", rows_of(c)},
                                 {"baseline", c.baseline},
                                 {"level", c.level},
                                 {"margin", kMargin}});
  for (const Design& d : designs())
    request["designs"].push_back({{"variants", d.num_variants},
                                  {"seeds", d.num_seeds},
                                  {"std", d.std},
                                  {"level", d.level},
                                  {"power", d.power},
                                  {"difference", kDifference}});
  constexpr std::uint64_t kDocumentCases = 20;
  for (std::uint64_t trial = 0; trial < kDocumentCases; ++trial) {
    const DocumentsCase c = documents_case(trial);
    Json targets;
    for (const DocumentLoss& document : c.baseline.front()) targets.push_back(document.num_targets);
    request["documents"].push_back(
        {{"variant", nats_of(c.variant)}, {"baseline", nats_of(c.baseline)}, {"targets", targets}});
  }

  const Json answer = ask_scipy(request);
  std::set<std::string> conclusions;
  for (const Json& table : answer.at("tables"))
    for (const Json& verdict : table.at("verdicts"))
      conclusions.insert(verdict.at("conclusion").get<std::string>());
  EXPECT_EQ(conclusions.size(), 4U) << "the random tables should lead to every conclusion";
  for (std::size_t i = 0; i < table_cases().size(); ++i)
    expect_equal(table_cases()[i], answer.at("tables").at(i), "table " + std::to_string(i) + " ");
  for (std::size_t i = 0; i < designs().size(); ++i) {
    const Json& theirs = answer.at("designs").at(i);
    expect_near(*power_of(designs()[i], kDifference), theirs.at("power"),
                "power " + std::to_string(i));
    expect_near(*detectable_difference(designs()[i]), theirs.at("detectable"),
                "detectable " + std::to_string(i));
    EXPECT_EQ(*seeds_needed(designs()[i], kDifference), theirs.at("needed").get<std::int64_t>());
  }
  for (std::uint64_t trial = 0; trial < kDocumentCases; ++trial) {
    const SampleError ours = *held_out_error(documents_case(trial).pairs());
    expect_near(ours.difference, answer.at("documents").at(trial).at("difference"),
                "documents " + std::to_string(trial));
    expect_near(*ours.std_error, answer.at("documents").at(trial).at("std_error"),
                "documents " + std::to_string(trial));
  }
}

}  // namespace
}  // namespace sluice::stats
