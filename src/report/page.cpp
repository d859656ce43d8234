// Writes report.html (report.h). The page is also well-formed XML, so a test can parse it strictly.
#include <algorithm>
#include <array>
#include <set>

#include "base/text_format.h"
#include "config/names.h"
#include "report/page_parts.h"
#include "report/plots.h"
#include "report/published.h"
#include "report/report.h"
#include "report/tables.h"
#include "report/text.h"
#include "report/wording.h"

namespace sluice::report {
namespace {

std::string panels(const std::vector<std::string>& plots, std::string_view caption) {
  if (plots.empty()) return "";
  std::string out = "<figure>\n<div class=\"panels\">\n";
  for (const std::string& plot : plots) out += plot;
  return cat(out, "</div>\n<figcaption>", html_text(caption), "</figcaption>\n</figure>\n");
}

// All distinct values: "AMD EPYC, 2 threads".
std::string distinct(const Comparison& comparison, std::string (*value_of)(const CellResult&)) {
  std::set<std::string> values;
  for (const CellResult& cell : comparison.cells) {
    if (cell.state != CellState::kWaiting && !value_of(cell).empty()) values.insert(value_of(cell));
  }
  std::string text;
  for (const std::string& value : values) text += cat(text.empty() ? "" : "; ", value);
  return text.empty() ? std::string(kUnknown) : text;
}

std::string key_facts(const Comparison& comparison) {
  const auto count = [&](CellState status) {
    return std::count_if(comparison.cells.begin(), comparison.cells.end(),
                         [&](const CellResult& cell) { return cell.state == status; });
  };
  double seconds = 0;
  for (const CellResult& cell : comparison.cells) seconds += cell.training_seconds;
  std::string runs = cat(count(CellState::kFinished), " of ",
                         comparison.variants.size() * comparison.seeds.size(), " finished");
  for (const CellState status : {CellState::kDiverged, CellState::kFailed}) {
    if (count(status) > 0) runs += cat(", ", count(status), " ", config::name_of(status));
  }
  return facts(std::array<Fact, 8>{
      {{"Objective", comparison.objective_title},
       {"Variants × seeds", cat(comparison.variants.size(), " × ", comparison.seeds.size())},
       {"Runs", runs},
       {"Steps per run", distinct(comparison,
                                  [](const CellResult& cell) {
                                    return cell.steps > 0 ? with_commas(cell.steps) : std::string();
                                  })},
       {"Training time, all runs", human_duration(seconds)},
       {"Machine", distinct(comparison,
                            [](const CellResult& cell) {
                              return cell.env.cpu.empty()
                                         ? std::string()
                                         : cat(cell.env.cpu,
                                               cell.env.threads > 0
                                                   ? cat(", ", count_of(cell.env.threads, "thread"))
                                                   : "");
                            })},
       {"Device and precision", distinct(comparison,
                                         [](const CellResult& cell) {
                                           return cat(cell.env.device, " ", cell.env.precision);
                                         })},
       {"Build", distinct(comparison, [](const CellResult& cell) {
          return cat(cell.build, cell.libtorch.empty() ? "" : ", LibTorch ", cell.libtorch);
        })}}});
}

std::string result_section(const Comparison& comparison, const Analysis& analysis) {
  std::string out;
  std::vector<std::string> lines = notes(comparison, analysis);
  const std::string wide = interval_plot(comparison, analysis, 960);
  if (!wide.empty()) {
    const bool paper =
        published_result(comparison, comparison.variants[comparison.baseline]) != nullptr;
    out += figure(
        wide, interval_plot(comparison, analysis, kNarrow.width),
        cat("Difference from ", analysis.labels[comparison.baseline], " in held-out ",
            metric_title(comparison), " after the last step, with simultaneous ",
            interval_percent(analysis), " % confidence intervals.",
            comparison.margin ? " Dashed: the margin of equivalence." : "",
            analysis.compared_seeds().size() > kMaxSeedDots ? "" : " Small dots: single seeds."));
    out += cat(dot_plot_key(),
               paper ? "<span><svg width=\"12\" height=\"12\" viewBox=\"0 0 12 12\" "
                       "aria-hidden=\"true\"><path class=\"paper\" "
                       "d=\"M6 1 11 6 6 11 1 6Z\"/></svg>"
                       "the paper's difference at 65,536 steps</span>\n"
                     : "",
               "</p>\n");
  } else {
    out += cat("<p class=\"note\" role=\"note\">", html_text(lines.front()), "</p>\n");
    lines.erase(lines.begin());
  }
  out += html_table(result_table(comparison, analysis), "Results, one row per variant");
  out += "<ul class=\"small columns\">\n";
  for (const std::string& line : lines) out += cat("<li>", html_text(line), "</li>\n");
  return out + "</ul>\n";
}

std::string curve_section(const Comparison& comparison, const Analysis& analysis) {
  const auto both = [&](CurveKind kind, std::string_view caption) {
    return figure(loss_plot(comparison, analysis, kind, kWide),
                  loss_plot(comparison, analysis, kind, kNarrow), caption);
  };
  const std::string out =
      pair(both(CurveKind::kHeldOut,
                "Held-out metric during training: mean (line) and range (shaded) over seeds. The "
                "steep start is cut off. Values before the end are approximate because the "
                "learning rate has not decayed."),
           both(CurveKind::kTraining,
                "Training loss, averaged over neighboring steps: mean (line) and range (shaded) "
                "over seeds.")) +
      panels(difference_panels(comparison, analysis),
             cat("Held-out difference from ", analysis.labels[comparison.baseline],
                 " within each seed during training: mean (line) and range (shaded) over seeds. "
                 "Below the zero line is better. Approximate before the end."));
  return out.empty() ? paragraph("No curves yet.") : out;
}

std::string cost_section(const Comparison& comparison, const Analysis& analysis) {
  const auto both = [&](Cost cost, std::string_view caption) {
    return figure(cost_plot(comparison, analysis, cost, kWide),
                  cost_plot(comparison, analysis, cost, kNarrow), caption);
  };
  const std::string_view equal = comparison.equalize == Equalize::kSteps
                                     ? " With matched widths, equal steps mean equal FLOPs."
                                     : "";
  return pair(both(Cost::kFlops,
                   cat("Result after the last step (mean ± one standard deviation) versus training "
                       "FLOPs. Faint lines: the course of training, approximate. Points of equal "
                       "cost are drawn slightly apart.",
                       equal)),
              both(Cost::kSeconds,
                   "The same versus time spent in training steps, without evaluations. Times "
                   "depend on the machine and its load.")) +
         html_table(size_table(comparison, analysis), "Sizes and cost, one row per variant");
}

std::string tuning_section(const Comparison& comparison, const Analysis& analysis) {
  const std::string note = comparison.tuning_note.empty()
                               ? "The same learning rate for all variants; nothing was tuned."
                               : sentence(comparison.tuning_note);
  if (comparison.tuning.empty()) return paragraph(note);
  return cat(paragraph(note),
             panels(tuning_panels(comparison, analysis),
                    "Sensitivity: log-perplexity of every candidate on the tuning split, mean over "
                    "the tuning seeds. Filled: chosen. Much worse candidates are outside the plot; "
                    "the table lists them."),
             html_table(tuning_table(comparison), "Tuning, one row per variant"));
}

std::string cell_section(const Comparison& comparison, const Analysis& analysis) {
  std::string out = paragraph(
      "Each value is one run. results.csv and results.json next to this page contain the values in "
      "full precision and the hash, build, machine and directory of each run.");
  const TextTable failures = failure_table(comparison);
  if (!failures.rows.empty()) out += html_table(failures, "Runs that diverged or failed");
  return out + html_table(cell_table(comparison, analysis), "Held-out results, one row per seed");
}

std::string reproduction_section(const Comparison& comparison) {
  std::string commands;
  for (const std::string& command : comparison.commands) commands += html_text(command) + "\n";
  std::string out;
  if (!commands.empty()) out += cat("<pre tabindex=\"0\"><code>", commands, "</code></pre>\n");
  out += paragraph("Configuration, with all overrides applied:");
  out += cat("<pre tabindex=\"0\"><code>", html_lines(comparison.config), "</code></pre>\n");
  return out + cat("<p class=\"small\">Data fingerprint <code>",
                   html_text(hash_text(comparison.data_fingerprint)),
                   "</code>, tokenizer hash <code>",
                   html_text(hash_text(comparison.tokenizer_hash)), "</code>, seal <code>",
                   html_text(seal_text(comparison)), "</code>, Sluice ",
                   html_text(comparison.version), ".</p>\n");
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kSections = {
    {{"result", "Result"},
     {"read", "How to read this"},
     {"curves", "Training curves"},
     {"cost", "Cost"},
     {"tuning", "Tuning"},
     {"runs", "All runs"},
     {"reproduce", "Configuration and reproduction"},
     {"formulas", "Formulas"}}};

std::string condition_paragraph(const Comparison& comparison, const Analysis& analysis) {
  const std::string text = conditions(comparison, analysis);
  return text.empty() ? "" : cat("<p class=\"conditions\">", html_text(text), "</p>\n");
}

}  // namespace

std::string html_report(const Comparison& comparison, const Analysis& analysis) {
  const std::array<std::string, kSections.size()> contents = {
      result_section(comparison, analysis), std::string(how_to_read()),
      curve_section(comparison, analysis),  cost_section(comparison, analysis),
      tuning_section(comparison, analysis), cell_section(comparison, analysis),
      reproduction_section(comparison),     std::string(page_formulas())};
  std::vector<PageSection> sections;
  for (std::size_t i = 0; i < kSections.size(); ++i)
    sections.push_back({kSections[i].first, kSections[i].second, contents[i]});
  return html_page(
      {.title = cat(comparison.name, ": comparison"),
       .heading = comparison.name,
       .lead = verdict(comparison, analysis),
       .introduction = condition_paragraph(comparison, analysis) + key_facts(comparison),
       .sections = std::move(sections),
       .version = comparison.version,
       .footer = cat("Generated by Sluice ", html_text(comparison.version),
                     " from the runs in this directory; <code>sluice compare "
                     "--report</code> regenerates it.")});
}

}  // namespace sluice::report
