// The files of a report: results.json read back, report.html parsed strictly, hostile names,
// reproducible bytes, run time.
#include "report/report.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "tests/base/count_parts.h"
#include "tests/base/temporary_directory.h"
#include "tests/report/example.h"

namespace sluice::report {
namespace {

using Json = nlohmann::json;

constexpr const char* kFiles[] = {"table.md", "table.tex", "results.csv", "results.json",
                                  "report.html"};

// Runs tests/report/check_page.py.
void expect_valid_page(const fs::path& page) {
  const std::string command = cat("'", SLUICE_PYTHON, "' '", SLUICE_SOURCE_DIR,
                                  "/tests/report/check_page.py' '", page.string(), "'");
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

std::string page_of(const Comparison& comparison) {
  const sluice::testing::TemporaryDirectory directory;
  write_report(comparison, directory.path());
  expect_valid_page(directory / "report.html");
  return read_file(directory / "report.html");
}

TEST(Report, WritesAllFilesReproducibly) {
  const sluice::testing::TemporaryDirectory directory;
  const Comparison comparison = example_comparison({.num_variants = 4});
  write_report(comparison, directory / "a/b");
  write_report(example_comparison({.num_variants = 4}), directory / "c");
  for (const char* name : kFiles) {
    const std::string content = read_file(directory / "a/b" / name);
    EXPECT_GT(content.size(), 100U) << name;
    EXPECT_EQ(content, read_file(directory / "c" / name)) << name;
  }
  write_report(comparison, directory / "c");  // overwrites existing files
  EXPECT_EQ(std::distance(fs::directory_iterator(directory / "c"), fs::directory_iterator()),
            std::ssize(kFiles));
}

TEST(Report, FailsIfTheDirectoryCannotBeCreated) {
  const sluice::testing::TemporaryDirectory directory;
  real_files().write_atomically(directory / "file", "x");
  EXPECT_THROW(write_report(example_comparison({.num_variants = 2}), directory / "file/below"),
               UserError);
}

TEST(Report, JsonContainsTheStatistics) {
  const Comparison comparison = example_comparison({});
  const Analysis analysis = analyze(comparison);
  const Json json = Json::parse(json_report(comparison, analysis));
  ASSERT_EQ(json.at("summary").size(), 8U);
  for (std::size_t v = 0; v < 8; ++v) {
    const Json& row = json["summary"][v];
    const auto& figures = analysis.summary.variants[v];
    EXPECT_EQ(row.at("settings").at("model.ffn"), comparison.variants[v].settings[0].second);
    EXPECT_EQ(row.at("n"), 8);
    EXPECT_EQ(row.at("mean").get<double>(), *figures.mean);
    EXPECT_EQ(row.at("std").get<double>(), *figures.std);
    EXPECT_EQ(row.at("letters"), figures.letters);
    EXPECT_EQ(row.at("baseline"), v == 0);
    if (v == 0) continue;
    EXPECT_EQ(row.at("difference").get<double>(), figures.difference->value);
    EXPECT_EQ(row.at("difference_low").get<double>(), figures.difference->interval->low);
    EXPECT_EQ(row.at("difference_high").get<double>(), figures.difference->interval->high);
    EXPECT_EQ(row.at("sign_flip_p").get<double>(), *figures.difference->flip_p);
    EXPECT_EQ(row.at("seeds_better"), figures.difference->num_better);
    EXPECT_EQ(row.at("better_rate_low").get<double>(), figures.difference->better_rate->low);
    EXPECT_EQ(row.at("p").get<double>(), *figures.difference->p);
    EXPECT_EQ(row.at("p_holm").get<double>(), *figures.difference->p_holm);
    EXPECT_EQ(row.at("paired_p").get<double>(), *figures.difference->paired_p);
    EXPECT_EQ(row.at("paired_p_holm").get<double>(), *figures.difference->paired_p_holm);
    EXPECT_EQ(row.at("held_out_error").get<double>(), *analysis.sample_error[v]->std_error);
    EXPECT_EQ(row.at("effective_documents").get<double>(),
              analysis.sample_error[v]->effective_documents);
    EXPECT_EQ(row.at("num_documents").get<std::size_t>(), comparison.cells[0].documents.size());
  }
  for (const char* key : {"difference", "difference_low", "sign_flip_p", "p", "p_holm", "paired_p",
                          "paired_p_holm"}) {
    EXPECT_TRUE(json["summary"][0].at(key).is_null()) << key;
  }
  EXPECT_EQ(json["summary"][5].at("paper").at("mean_65536"), 1.942);
  EXPECT_EQ(json.at("versions").at("sluice"), comparison.version);
  EXPECT_EQ(json.at("versions").at("builds"), Json::array({"0.1.0 (9ce2175)"}));
}

TEST(Report, JsonContainsEveryCell) {
  Comparison comparison = example_comparison({});
  break_cell(cell_at(comparison, 2, 3), CellState::kDiverged, "NaN");
  cell_at(comparison, 1, 0) = {.settings = comparison.variants[1].settings, .seed = 1};
  const Json json = Json::parse(json_report(comparison, analyze(comparison)));
  ASSERT_EQ(json.at("cells").size(), 64U);
  const Json& cell = json["cells"][5 * 8 + 1];
  EXPECT_EQ(cell.at("settings").at("model.ffn"), "geglu");
  EXPECT_EQ(cell.at("seed"), 2);
  EXPECT_EQ(cell.at("status"), "finished");
  EXPECT_EQ(cell.at("log_perplexity").get<double>(), *cell_at(comparison, 5, 1).log_perplexity);
  EXPECT_EQ(cell.at("hash"), "7f3a2c95");
  EXPECT_EQ(cell.at("build"), "0.1.0 (9ce2175)");
  EXPECT_EQ(cell.at("cpu"), "AMD EPYC 9R14");
  const Json& diverged = json["cells"][2 * 8 + 3];
  EXPECT_EQ(diverged.at("status"), "diverged");
  EXPECT_EQ(diverged.at("remark"), "NaN");
  EXPECT_TRUE(diverged.at("log_perplexity").is_null());
  const Json& waiting = json["cells"][8];
  EXPECT_EQ(waiting.at("status"), "waiting");
  for (const char* key : {"log_perplexity", "hash", "build", "cpu", "steps", "training_seconds"})
    EXPECT_TRUE(waiting.at(key).is_null()) << key;
  EXPECT_TRUE(json["summary"][2].at("difference").is_null());
  EXPECT_TRUE(json["summary"][2].at("letters").is_null());
}

TEST(Report, JsonOfOneSeedHasNulls) {
  const Comparison comparison = example_comparison({.num_seeds = 1});
  const Json json = Json::parse(json_report(comparison, analyze(comparison)));
  const Json& row = json.at("summary")[5];
  for (const char* key : {"std", "difference_low", "difference_high", "p", "p_holm", "paired_p",
                          "paired_p_holm", "letters"}) {
    EXPECT_TRUE(row.at(key).is_null()) << key;
  }
  EXPECT_EQ(row.at("mean").get<double>(), *comparison.cells[5].log_perplexity);
}

TEST(Report, JsonListsPendingSeedsAndRunsThatDidNotLearn) {
  Comparison comparison = example_comparison({});
  for (const std::size_t s : {1U, 2U, 3U, 4U})
    break_cell(cell_at(comparison, 7, s), CellState::kWaiting, "");
  cell_at(comparison, 2, 3).learned_nothing = true;
  cell_at(comparison, 2, 3).uniform_log_perplexity = 8.3178;
  const Json json = Json::parse(json_report(comparison, analyze(comparison)));
  EXPECT_EQ(json.at("comparisons"), 6);
  EXPECT_EQ(json.at("conditions").get<std::string>().find("After 2,400 steps; "), 0U);
  EXPECT_EQ(json.at("seeds_compared"), Json::array({1, 2, 3, 4, 5, 6, 7, 8}));
  const Json &pending = json["summary"][7], &marked = json["summary"][2];
  EXPECT_EQ(pending.at("compared"), false);
  EXPECT_EQ(pending.at("pending_seeds"), Json::array({2, 3, 4, 5}));
  EXPECT_TRUE(pending.at("p_holm").is_null());
  EXPECT_EQ(marked.at("compared"), false) << "nothing is tested";
  EXPECT_TRUE(json["summary"][0].at("verdict").is_null()) << "the baseline";
  EXPECT_EQ(marked.at("verdict"), "broken");
  EXPECT_EQ(marked.at("pending_seeds"), Json::array());
  EXPECT_EQ(marked.at("seeds_without_learning"), Json::array({4}));
  EXPECT_EQ(json["cells"][2 * 8 + 3].at("learned_nothing"), true);
  EXPECT_EQ(json["cells"][2 * 8 + 3].at("uniform_log_perplexity"), 8.3178);
  EXPECT_TRUE(json["cells"][0].at("learned_nothing").is_null());
}

TEST(Report, PageContainsTheResults) {
  const Comparison comparison = example_comparison({});
  const Analysis analysis = analyze(comparison);
  const std::string page = page_of(comparison);
  EXPECT_NE(page.find(cat("<td class=\"n\">", fixed(*analysis.summary.variants[5].mean, 4), " (")),
            std::string::npos);
  // Wide and narrow: a line and its two ends for each of 7 differences; four in the legend.
  EXPECT_EQ(sluice::testing::count_parts(page, "class=\"interval\" x1"), 3U * 2 * 7 + 4U);
  // Dot plot, two curve plots and two cost plots, each wide and narrow; a panel for each of 7
  // differences and 8 variants' tuning.
  EXPECT_EQ(sluice::testing::count_parts(page, "<svg xmlns"), 2U * 5 + 7 + 8);
  for (const char* id :
       {"result", "read", "curves", "cost", "tuning", "runs", "reproduce", "formulas"}) {
    EXPECT_NE(page.find(cat("<section id=\"", id, "\">")), std::string::npos) << id;
  }
  EXPECT_NE(page.find("sluice compare configs/compare/t5_small.yaml"), std::string::npos);
  EXPECT_NE(page.find("prefers-color-scheme: dark"), std::string::npos);
}

// Verdicts are shapes.
TEST(Report, ColorsOnlyIdentifyVariants) {
  Comparison comparison = example_comparison({});
  comparison.baseline = 3;  // some variants are better, some worse
  const std::string page = page_of(comparison), style = page.substr(0, page.find("</style>"));
  for (const char* word : {"--lower", "--higher", "class=\"lower\"", "class=\"higher\""})
    EXPECT_EQ(sluice::testing::count_parts(page, word), 0U) << word;
  EXPECT_GT(sluice::testing::count_parts(page, "<path class=\"mark\""), 2U);
  EXPECT_NE(style.find(".mark.open"), std::string::npos);
  for (std::size_t v = 0; v < 8; ++v) {
    if (v == 3) continue;
    EXPECT_NE(page.find(cat("<g class=\"v", v < 3 ? v : v - 1, "\">\n<path class=\"paper\"")),
              std::string::npos)
        << v;
  }
}

TEST(Report, WideTablesHaveAScrollHint) {
  const std::string hint = "\">\n<p class=\"swipe\">More columns: scroll the table sideways",
                    page = page_of(example_comparison({}));
  EXPECT_EQ(sluice::testing::count_parts(page, cat("<div class=\"table many more", hint)),
            2U);  // sizes, cells
  EXPECT_EQ(sluice::testing::count_parts(page, cat("<div class=\"table many more most", hint)),
            1U);  // results
  EXPECT_EQ(sluice::testing::count_parts(page, cat("<div class=\"table many", hint)),
            1U);  // tuning
  EXPECT_NE(page.find(".many .swipe, .many::after { display: block; }"), std::string::npos);
  const std::string wide = page_of(example_comparison({.num_variants = 12}));
  EXPECT_EQ(sluice::testing::count_parts(wide, cat("<div class=\"table many more most", hint)),
            2U);  // results and cells: at every width
  const std::string small = page_of(example_comparison({.num_variants = 2}));
  EXPECT_EQ(sluice::testing::count_parts(small, cat("<div class=\"table", hint)),
            1U);  // three columns fit
}

TEST(Report, TheVerdictIsFollowedByItsConditions) {
  const Comparison comparison = example_comparison({});
  const Analysis analysis = analyze(comparison);
  const std::string condition = conditions(comparison, analysis);
  const std::string page = page_of(comparison);
  EXPECT_NE(page.find("</p>\n<p class=\"conditions\">After 2,400 steps; "), std::string::npos);
  EXPECT_NE(
      console_table(comparison).find(cat(verdict(comparison, analysis), "\n", condition, "\n")),
      std::string::npos);
  EXPECT_NE(markdown_report(comparison, analysis).find("After 2,400 steps; "), std::string::npos);
  EXPECT_NE(latex_report(comparison, analysis).find("After 2,400 steps; "), std::string::npos);
}

TEST(Report, PagesOfUnfinishedComparisonsAreValid) {
  Comparison one = example_comparison({.num_seeds = 1});
  one.tuning.clear();
  one.tuning_note.clear();
  const std::string page = page_of(one);
  EXPECT_NE(page.find("role=\"note\">Only one seed: no standard deviations"), std::string::npos);
  // no dot plot, so no legend
  EXPECT_EQ(page.find("class=\"interval\" x1=\"1\""), std::string::npos);

  Comparison waiting = example_comparison({});
  for (CellResult& cell : waiting.cells) cell = {.settings = cell.settings, .seed = cell.seed};
  EXPECT_NE(page_of(waiting).find("No curves yet."), std::string::npos);

  Comparison broken = example_comparison({});
  break_cell(cell_at(broken, 2, 3), CellState::kDiverged, "loss is NaN at step 812");
  const std::string with_broken = page_of(broken);
  EXPECT_EQ(sluice::testing::count_parts(with_broken, ">1 of 8 diverged: no verdict</text>"),
            2U);  // in both dot plots
  EXPECT_NE(with_broken.find("loss is NaN at step 812"), std::string::npos);

  Comparison single = example_comparison({.num_variants = 1});
  page_of(single);
}

TEST(Report, EscapesHostileNames) {
  const std::string hostile =
      "</style></pre></svg><script>alert(1)</script> \"'&]]>--> "
      "|`*_\\input{/etc/passwd}\n\x1b[2J\xff=1+1";
  Comparison comparison = example_comparison({.num_variants = 3});
  comparison.name = comparison.tuning_note = comparison.config = comparison.version = hostile;
  comparison.commands = {hostile};
  comparison.objective = comparison.objective_title = comparison.data_fingerprint =
      comparison.tokenizer_hash = hostile;
  for (CellResult& cell : comparison.cells) {
    if (cell.settings == comparison.variants[1].settings) cell.settings = {{hostile, hostile}};
    cell.hash = cell.build = cell.libtorch = cell.env.cpu = cell.env.device = cell.env.precision =
        cell.directory = hostile;
  }
  for (TuningPoint& point : comparison.tuning) point.candidate = {{hostile, hostile}};
  comparison.variants[1].settings = comparison.variants[1].tuned = {{hostile, hostile}};
  break_cell(cell_at(comparison, 2, 1), CellState::kFailed, hostile);
  const std::string page = page_of(comparison);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(sluice::testing::count_parts(page, "</style>"), 1U);

  const Analysis analysis = analyze(comparison);
  const Json json = Json::parse(json_report(comparison, analysis));
  EXPECT_EQ(json.at("summary")[2].at("n"), 7);
  for (const std::string& text :
       {markdown_report(comparison, analysis), latex_report(comparison, analysis),
        csv_report(comparison), console_table(comparison), page}) {
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
  }
  EXPECT_EQ(latex_report(comparison, analysis).find("\\input"), std::string::npos);
  const std::string markdown = markdown_report(comparison, analysis);
  EXPECT_EQ(markdown.substr(0, markdown.find("## How to reproduce")).find("<script"),
            std::string::npos);
}

// Every place that shows a name, in every file.
TEST(Report, EscapesNamesInEveryFile) {
  const std::string name = "$a$ \xC2\x9B\xE2\x80\xAE\xE2\x80\xA8\xEF\xBB\xBF\x7F 中 \n=1+1";
  Comparison comparison = example_comparison({.num_variants = 3});
  comparison.name = comparison.tuning_note = comparison.config = comparison.version = name;
  comparison.commands = {name};
  comparison.objective = comparison.objective_title = comparison.data_fingerprint =
      comparison.tokenizer_hash = name;
  for (std::size_t v = 0; v < 2; ++v) {
    const Settings settings = {{name, cat(name, v)}};
    for (CellResult& cell : comparison.cells)
      if (cell.settings == comparison.variants[v].settings) cell.settings = settings;
    for (TuningPoint& point : comparison.tuning)
      if (point.settings == comparison.variants[v].settings) point.settings = settings;
    comparison.variants[v].settings = comparison.variants[v].tuned = settings;
  }
  for (CellResult& cell : comparison.cells)
    cell.build = cell.libtorch = cell.env.cpu = cell.env.device = cell.env.precision =
        cell.directory = name;
  for (TuningPoint& point : comparison.tuning) point.candidate = {{name, name}};
  break_cell(cell_at(comparison, 2, 1), CellState::kFailed, name);

  const Analysis analysis = analyze(comparison);
  const std::string markdown = markdown_report(comparison, analysis),
                    latex = latex_report(comparison, analysis);
  const std::string csv = csv_report(comparison);
  for (const std::string& text :
       {markdown, latex, csv, console_table(comparison), page_of(comparison)}) {
    for (const char* control : {"\xC2\x9B", "\xE2\x80\xAE", "\xE2\x80\xA8", "\xEF\xBB\xBF", "\x7F"})
      EXPECT_EQ(sluice::testing::count_parts(text, control), 0U);
    EXPECT_GT(sluice::testing::count_parts(text, "u202e"), 4U);
  }
  const std::string prose = markdown.substr(0, markdown.find("## How to reproduce"));
  EXPECT_EQ(sluice::testing::count_parts(prose, "$"),
            sluice::testing::count_parts(prose, "<span>\\$</span>"));
  EXPECT_EQ(sluice::testing::count_parts(latex, "中"), 0U);
  EXPECT_EQ(sluice::testing::count_parts(latex, "$a"),
            sluice::testing::count_parts(latex, "\\$a\\$"));
  EXPECT_EQ(sluice::testing::count_parts(csv, ",="), 0U);
  const Json json = Json::parse(json_report(comparison, analysis));
  EXPECT_EQ(json.at("name"), name);
  EXPECT_EQ(json.at("summary")[0].at("settings").begin().key(), name);
}

TEST(Report, ReportsAThousandCellsInFiveSeconds) {
  const sluice::testing::TemporaryDirectory directory;
  const Comparison comparison =
      example_comparison({.num_variants = 8, .num_seeds = 125, .num_points = 300});
  ASSERT_EQ(comparison.cells.size(), 1000U);
  const auto begin = std::chrono::steady_clock::now();
  write_report(comparison, directory.path());
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  RecordProperty("seconds", fixed(seconds, 3));
  std::printf("1,000 cells: %.2f s, report.html %ju bytes\n", seconds,
              static_cast<std::uintmax_t>(fs::file_size(directory / "report.html")));
  EXPECT_LT(seconds, 5);
  expect_valid_page(directory / "report.html");
}

TEST(Report, ManyVariantsHaveDashedLines) {
  const std::string page =
      page_of(example_comparison({.num_variants = 40, .num_seeds = 3, .num_points = 20}));
  EXPECT_NE(page.find("v3 dashed"), std::string::npos);
}

}  // namespace
}  // namespace sluice::report
