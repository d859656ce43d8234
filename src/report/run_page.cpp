#include "report/run_page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/text_format.h"
#include "report/line_plot.h"
#include "report/page_parts.h"
#include "report/text.h"
#include "report/text_table.h"

namespace sluice::report {
namespace {

constexpr std::size_t kMaxPoints = 120;

using Runs = std::span<const ShownRun>;

// The names, or the directories if two runs have the same name.
std::vector<std::string> labels_of(Runs runs) {
  std::set<std::string> names;
  for (const ShownRun& run : runs) names.insert(run.name);
  std::vector<std::string> labels;
  for (const ShownRun& run : runs)
    labels.push_back(names.size() == runs.size() ? run.name : run.directory);
  return labels;
}

bool differs(Runs runs, std::string ShownRun::*member) {
  return std::any_of(runs.begin(), runs.end(),
                     [&](const ShownRun& run) { return run.*member != runs.front().*member; });
}

std::optional<double> last_log_perplexity(const ShownRun& run) {
  return run.evaluations.empty() ? std::nullopt : run.evaluations.back().log_perplexity;
}

const ShownEvaluation* best_evaluation(const ShownRun& run) {
  const ShownEvaluation* best = nullptr;
  for (const ShownEvaluation& one : run.evaluations) {
    if (!one.log_perplexity || !std::isfinite(*one.log_perplexity)) continue;
    if (best == nullptr || *one.log_perplexity < *best->log_perplexity) best = &one;
  }
  return best;
}

std::int64_t last_step(const ShownRun& run) {
  return run.steps.empty() ? 0 : run.steps.back().step;
}

double seconds_of(const ShownRun& run) {
  double sum = 0;
  for (const ShownStep& step : run.steps) sum += step.seconds;
  return sum;
}

std::string state_of(const ShownRun& run) {
  if (run.is_finished) return cat("finished, ", count_of(last_step(run), "step"));
  return cat("step ", with_commas(last_step(run)), " of ", with_commas(run.num_steps));
}

std::string lead(Runs runs, const std::vector<std::string>& labels) {
  if (runs.size() > 1)
    return cat(runs.size(),
               " runs side by side. Differences are not tested: seeds, data and "
               "chance differ, too. sluice compare tests them.");
  const ShownEvaluation* best = best_evaluation(runs.front());
  if (best == nullptr) return cat(labels[0], ": no held-out evaluation.");
  const std::optional<double> last = last_log_perplexity(runs.front());
  return cat("Held-out log-perplexity ", number_text(last, 4), ", perplexity ",
             number_text(runs.front().evaluations.back().perplexity, 2), " after ",
             count_of(runs.front().evaluations.back().step, "step"), ".");
}

// All distinct values.
std::string distinct(Runs runs, const std::function<std::string(const ShownRun&)>& value_of) {
  std::string text;
  std::set<std::string> seen;
  for (const ShownRun& run : runs) {
    const std::string value = value_of(run);
    if (!value.empty() && seen.insert(value).second) text += cat(text.empty() ? "" : "; ", value);
  }
  return text.empty() ? std::string(kUnknown) : text;
}

std::string key_facts(Runs runs) {
  double seconds = 0;
  for (const ShownRun& run : runs) seconds += seconds_of(run);
  return facts(std::array<Fact, 6>{
      {{runs.size() == 1 ? "State" : "States", distinct(runs, state_of)},
       {"Parameters", distinct(runs,
                               [](const ShownRun& run) {
                                 return run.num_parameters > 0 ? with_commas(run.num_parameters)
                                                               : std::string();
                               })},
       {"Time in steps", human_duration(seconds)},
       {"Machine", distinct(runs, [](const ShownRun& run) { return run.machine; })},
       {"Device and precision",
        distinct(runs, [](const ShownRun& run) { return cat(run.device, " ", run.precision); })},
       {"Build", distinct(runs, [](const ShownRun& run) { return run.build; })}}});
}

std::string result_section(Runs runs, const std::vector<std::string>& labels) {
  TextTable table{.columns = {{"run", false},
                              {"state", false},
                              {"log-perplexity"},
                              {"perplexity"},
                              {"bits per byte"},
                              {"per word"},
                              {"lowest log-perplexity"},
                              {"at step"},
                              {"target tokens"}},
                  .rows = {}};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const ShownRun& run = runs[i];
    const ShownEvaluation last =
        run.evaluations.empty() ? ShownEvaluation{} : run.evaluations.back();
    const ShownEvaluation* best = best_evaluation(run);
    table.rows.push_back(
        {labels[i], state_of(run), number_text(last.log_perplexity, 4),
         number_text(last.perplexity, 2), number_text(last.bits_per_byte, 4),
         number_text(last.word_perplexity, 2),
         best == nullptr ? std::string(kUnknown) : number_text(best->log_perplexity, 4),
         best == nullptr ? std::string(kUnknown) : with_commas(best->step),
         with_commas(static_cast<std::int64_t>(run.tokens))});
  }
  std::string out = html_table(table, "Held-out results, one row per run");
  if (differs(runs, &ShownRun::tokenizer_hash) || differs(runs, &ShownRun::data_fingerprint))
    out +=
        "<p class=\"note\" role=\"note\">The runs have different data or tokenizers: their "
        "log-perplexities are not comparable, and bits per byte only if the held-out text is the "
        "same.</p>\n";
  return out;
}

// One line per run; `add` appends a run's points.
struct PlotSpec {
  std::string what, unit, caption;
  std::function<void(const ShownRun&, Band&)> add;
  bool from_zero = false;
  double left = 48;
};

std::string plot(Runs runs, const std::vector<std::string>& labels, const PlotSpec& spec) {
  LinePlot drawn{.name = cat("Curves of ", spec.what, ", one line per run"),
                 .y_title = cat(spec.what, spec.unit.empty() ? "" : ", ", spec.unit),
                 .lines = {},
                 .left = spec.left};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    PlotLine& line = drawn.lines.emplace_back(PlotLine{labels[i], color_class(i), {}});
    spec.add(runs[i], line.points);
    std::erase_if(line.points, [](const BandPoint& point) { return !std::isfinite(point.mean); });
    line.points = averaged(line.points, kMaxPoints);
    for (BandPoint& point : line.points) point.low = point.high = point.mean;
  }
  drawn.y = range_without_start(drawn.lines);
  if (spec.from_zero) drawn.y.low = 0;
  return figure(line_plot(drawn, kWide), line_plot(drawn, kNarrow), spec.caption);
}

// A curve over the steps.
std::function<void(const ShownRun&, Band&)> of_steps(
    const std::function<std::optional<double>(const ShownStep&)>& value_of) {
  return [=](const ShownRun& run, Band& band) {
    for (const ShownStep& step : run.steps)
      if (const std::optional<double> value = value_of(step))
        band.push_back({.step = static_cast<double>(step.step), .mean = *value});
  };
}

std::string curve_section(Runs runs, const std::vector<std::string>& labels) {
  const auto held_out = [](const ShownRun& run, Band& band) {
    for (const ShownEvaluation& one : run.evaluations)
      if (one.log_perplexity)
        band.push_back({.step = static_cast<double>(one.step), .mean = *one.log_perplexity});
  };
  const std::string out =
      pair(plot(runs, labels,
                {"held-out log-perplexity", "nats per target token",
                 "Held-out log-perplexity. The steep start is cut off.", held_out}),
           plot(runs, labels,
                {"training log-perplexity", "nats per target token",
                 "Training log-perplexity, averaged over neighboring steps.",
                 of_steps([](const ShownStep& step) { return step.log_perplexity; })})) +
      pair(plot(runs, labels,
                {"gradient norm", "",
                 "Norm of the gradient before clipping, averaged over neighboring steps.",
                 of_steps([](const ShownStep& step) { return step.grad_norm; }), true}),
           plot(runs, labels,
                {"learning rate", "", "Learning rate.",
                 of_steps([](const ShownStep& step) { return step.lr; }), true, 62}));
  return out.empty() ? paragraph("No curves yet.") : out;
}

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string speed_section(Runs runs, const std::vector<std::string>& labels) {
  TextTable table{.columns = {{"run", false},
                              {"tokens/s, median"},
                              {"MFU, median"},
                              {"memory, highest"},
                              {"time in steps"}},
                  .rows = {}};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::vector<double> speeds, mfu;
    double most = 0;
    for (const ShownStep& step : runs[i].steps) {
      speeds.push_back(step.tokens_per_s);
      if (step.mfu) mfu.push_back(*step.mfu);
      most = std::max(most, step.resident_bytes.value_or(0));
    }
    const std::optional<double> speed = median(std::move(speeds));
    table.rows.push_back(
        {labels[i], speed ? with_commas(std::llround(*speed)) : std::string(kUnknown),
         number_text(median(std::move(mfu)), 3),
         most > 0 ? human_bytes(static_cast<std::uint64_t>(most)) : std::string(kUnknown),
         human_duration(seconds_of(runs[i]))});
  }
  constexpr double kMebibyte = 1024 * 1024;
  return pair(plot(runs, labels,
                   {"target tokens per second", "",
                    "Target tokens per second of training steps, averaged over neighboring steps.",
                    of_steps([](const ShownStep& step) { return step.tokens_per_s; }), true, 62}),
              plot(runs, labels,
                   {"main memory", "MiB", "Main memory of the training process.",
                    of_steps([](const ShownStep& step) {
                      return step.resident_bytes ? std::optional(*step.resident_bytes / kMebibyte)
                                                 : std::nullopt;
                    }),
                    true, 62})) +
         html_table(table, "Speed and memory, one row per run");
}

// The steps that have samples of `prompt`, at most kMaxSamples, evenly spaced, with the last one.
std::vector<std::int64_t> sample_steps(Runs runs, const std::string& prompt) {
  constexpr std::size_t kMaxSamples = 12;
  std::set<std::int64_t> steps;
  for (const ShownRun& run : runs)
    for (const ShownSample& sample : run.samples)
      if (sample.prompt == prompt) steps.insert(sample.step);
  const std::vector<std::int64_t> all(steps.begin(), steps.end());
  if (all.size() <= kMaxSamples) return all;
  std::vector<std::int64_t> some;
  for (std::size_t i = 0; i < kMaxSamples; ++i)
    some.push_back(all[i * (all.size() - 1) / (kMaxSamples - 1)]);
  return some;
}

// What the models wrote over time: a table per prompt, with a row per step and a column per run.
std::string sample_section(Runs runs, const std::vector<std::string>& labels) {
  std::vector<std::string> prompts;
  std::map<std::tuple<std::size_t, std::string, std::int64_t>, std::string> texts;
  for (std::size_t i = 0; i < runs.size(); ++i)
    for (const ShownSample& sample : runs[i].samples) {
      if (std::find(prompts.begin(), prompts.end(), sample.prompt) == prompts.end())
        prompts.push_back(sample.prompt);
      texts[{i, sample.prompt, sample.step}] = sample.text;
    }
  std::string out;
  for (const std::string& prompt : prompts) {
    TextTable table{.columns = {{"step"}}, .rows = {}};
    for (const std::string& label : labels) table.columns.push_back({label, false});
    for (const std::int64_t step : sample_steps(runs, prompt)) {
      std::vector<std::string>& row = table.rows.emplace_back();
      row.push_back(with_commas(step));
      for (std::size_t i = 0; i < runs.size(); ++i) {
        const auto found = texts.find({i, prompt, step});
        row.push_back(found == texts.end() ? std::string(kUnknown) : found->second);
      }
    }
    out += cat("<h3>", html_text(prompt.empty() ? "Without a prompt" : prompt), "</h3>\n",
               html_table(table, "Texts for this prompt, one row per step"));
  }
  return cat("<div class=\"samples\">\n", out, "</div>\n");
}

// One row per setting that differs, in the order of the first run that has it.
TextTable difference_table(Runs runs, const std::vector<std::string>& labels) {
  TextTable table{.columns = {{"setting", false}}, .rows = {}};
  std::vector<std::map<std::string, std::string>> values;
  std::vector<std::string> keys;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    table.columns.push_back({labels[i], false});
    values.emplace_back(runs[i].settings.begin(), runs[i].settings.end());
    for (const auto& [key, value] : runs[i].settings)
      if (seen.insert(key).second) keys.push_back(key);
  }
  for (const std::string& key : keys) {
    std::vector<std::string> row = {key};
    std::set<std::string> distinct_values;
    for (const auto& of_run : values) {
      const auto found = of_run.find(key);
      row.push_back(found == of_run.end() ? std::string(kUnknown) : found->second);
      distinct_values.insert(row.back());
    }
    if (distinct_values.size() > 1) table.rows.push_back(std::move(row));
  }
  return table;
}

std::string settings_section(Runs runs, const std::vector<std::string>& labels) {
  std::string out;
  if (runs.size() > 1) {
    const TextTable table = difference_table(runs, labels);
    out += table.rows.empty() ? paragraph("All settings are equal.")
                              : html_table(table, "Settings that differ, one row per setting");
  }
  for (std::size_t i = 0; i < runs.size(); ++i)
    out += cat("<h3>", html_text(labels[i]), "</h3>\n<p class=\"small\">Run directory <code>",
               html_text(runs[i].directory), "</code></p>\n", code_block(runs[i].yaml));
  return out;
}

}  // namespace

std::string run_page(std::span<const ShownRun> runs, std::string_view version) {
  invariant(!runs.empty(), "a page needs a run");
  const std::vector<std::string> labels = labels_of(runs);
  std::string heading = labels[0];
  if (runs.size() > 1) heading = cat(heading, " and ", count_of(std::ssize(runs) - 1, "other run"));
  std::vector<PageSection> sections = {{"result", "Held-out results", result_section(runs, labels)},
                                       {"curves", "Training curves", curve_section(runs, labels)},
                                       {"speed", "Speed and memory", speed_section(runs, labels)}};
  if (std::any_of(runs.begin(), runs.end(),
                  [](const ShownRun& run) { return !run.samples.empty(); }))
    sections.push_back({"samples", "Samples", sample_section(runs, labels)});
  sections.push_back({"settings", "Settings", settings_section(runs, labels)});
  return html_page({.title = cat(heading, ": report"),
                    .heading = heading,
                    .lead = lead(runs, labels),
                    .introduction = key_facts(runs),
                    .sections = std::move(sections),
                    .version = std::string(version),
                    .footer = cat("Generated by Sluice ", html_text(version),
                                  "; <code>sluice report</code> regenerates it.")});
}

}  // namespace sluice::report
