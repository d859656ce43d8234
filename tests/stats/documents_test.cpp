// Recomputes the worked example of docs/statistics.md and checks that the page has every row.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "base/text_format.h"
#include "stats/held_out_error.h"
#include "stats/power.h"
#include "stats/summary.h"

namespace sluice::stats {
namespace {

struct Row {
  const char* name;
  std::vector<double> values;
};

const std::vector<Row> kRows = {
    {"relu", {4.244, 4.252, 4.239, 4.247, 4.241, 4.249, 4.243, 4.246}},
    {"gelu", {4.240, 4.251, 4.237, 4.242, 4.238, 4.250, 4.240, 4.244}},
    {"geglu", {4.201, 4.214, 4.203, 4.206, 4.199, 4.208, 4.205, 4.204}},
    {"swiglu", {4.203, 4.213, 4.208, 4.209, 4.202, 4.211, 4.204, 4.209}}};

Table example() {
  Table table(kRows.size(), kRows.front().values.size());
  for (std::size_t i = 0; i < kRows.size(); ++i)
    for (std::size_t j = 0; j < kRows[i].values.size(); ++j) table.set(i, j, kRows[i].values[j]);
  return table;
}

std::string cells(const std::vector<std::string>& texts) {
  std::string line = "|";
  for (const std::string& text : texts) line += " " + text + " |";
  return line;
}

void expect_in_page(const std::string& line) {
  static const std::string page = read_file(std::string(SLUICE_SOURCE_DIR) + "/docs/statistics.md");
  EXPECT_NE(page.find(line), std::string::npos) << "docs/statistics.md lacks\n" << line;
}

std::string probability(double p) { return p < 0.0001 ? "< 0.0001" : fixed(p, 4); }

TEST(Documents, ExampleTable) {
  for (const Row& row : kRows) {
    std::vector<std::string> texts{row.name};
    for (const double value : row.values) texts.push_back(fixed(value, 3));
    expect_in_page(cells(texts));
  }
}

TEST(Documents, ExampleSummary) {
  const Summary summary = summarize(example(), 0, {.margin = 0.01});
  expect_in_page(cat("σ̂ = ", fixed(*summary.residual_std, 5), " with ", summary.residual_df,
                     " degrees of freedom"));
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    const VariantSummary& variant = summary.variants[i];
    std::vector<std::string> texts{kRows[i].name, fixed(*variant.mean, 4), fixed(*variant.std, 4)};
    if (variant.difference) {
      const Difference& difference = *variant.difference;
      texts.push_back(fixed(difference.value, 4));
      texts.push_back(fixed(difference.interval->low, 4) + " to " +
                      fixed(difference.interval->high, 4));
      texts.push_back(probability(*difference.flip_p));
      texts.push_back(cat(difference.num_better, " of 8"));
      texts.push_back(variant.letters);
      for (const auto& p : {difference.p_holm, difference.paired_p_holm})
        texts.push_back(probability(*p));
    } else {
      texts.insert(texts.end(), {"", "", "", "", variant.letters, "", ""});
    }
    expect_in_page(cells(texts));
  }
}

// Conclusions with the margin of the example, the interval of the rate, and the levels of looks.
TEST(Documents, ExampleConclusions) {
  const Summary summary = summarize(example(), 0, {.margin = 0.01});
  EXPECT_EQ(summary.variants[1].difference->conclusion, Conclusion::kEquivalent);
  EXPECT_EQ(summary.variants[2].difference->conclusion, Conclusion::kBetter);
  EXPECT_EQ(summary.variants[3].difference->conclusion, Conclusion::kBetter);
  const Interval rate = *summary.variants[2].difference->better_rate;
  expect_in_page(cat("8 of 8 seeds: ", fixed(rate.low, 2), " to ", fixed(rate.high, 2)));
  for (const auto& [name, spending] :
       {std::pair("obrien_fleming", Spending::kObrienFleming), {"pocock", Spending::kPocock}})
    for (const std::vector<std::int64_t>& looks :
         {std::vector<std::int64_t>{4, 8, 12}, std::vector<std::int64_t>{6, 9, 12}}) {
      std::vector<std::string> texts{name, cat(looks[0], ", ", looks[1], ", ", looks[2])};
      for (const double level : look_levels(looks, spending, 0.05))
        texts.push_back(fixed(level, 4));
      expect_in_page(cells(texts));
    }
}

TEST(Documents, DetectableDifferences) {
  const Summary summary = summarize(example(), 0);
  const Design measured{.num_variants = 4, .num_seeds = 8, .std = *summary.residual_std};
  expect_in_page(cat("a difference of ", fixed(*detectable_difference(measured), 4)));
  expect_in_page(cat("for 0.01 it takes ", *seeds_needed(measured, 0.01), " seeds"));
  for (const double std : {0.003, 0.005, 0.010}) {
    std::vector<std::string> texts{fixed(std, 3)};
    for (const std::int64_t num_seeds : {6, 8, 10, 12, 16})
      texts.push_back(fixed(
          *detectable_difference({.num_variants = 8, .num_seeds = num_seeds, .std = std}), 4));
    texts.push_back(cat(*seeds_needed({.num_variants = 8, .std = std}, 0.01)));
    expect_in_page(cells(texts));
  }
}

TEST(Documents, ExampleHeldOutError) {
  const std::vector<DocumentLoss> relu{{1290, 300}, {861, 200}, {2118, 500}, {432, 100}},
      geglu{{1272, 300}, {855, 200}, {2103, 500}, {424, 100}};
  for (std::size_t k = 0; k < relu.size(); ++k)
    expect_in_page(
        cells({cat(k + 1), cat(relu[k].num_targets), cat(relu[k].nats), cat(geglu[k].nats)}));
  const SampleError error = *held_out_error(std::vector<DocumentPair>{{geglu, relu}});
  expect_in_page(cat("R = ", fixed(error.difference, 4), ", SE(R) = ", fixed(*error.std_error, 4),
                     ", effective number of documents ", fixed(error.effective_documents, 1)));
}

}  // namespace
}  // namespace sluice::stats
