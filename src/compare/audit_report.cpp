#include "compare/audit_report.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "report/report.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;
using ResultsJson = nlohmann::ordered_json;

constexpr std::size_t kMaxListed = 3;  // differences per file
constexpr std::uint64_t kMaxReportBytes = std::uint64_t{1} << 30;

std::string short_value(const ResultsJson& json) {
  if (json.is_object()) return "an object";
  if (json.is_array()) return count_of(static_cast<std::int64_t>(json.size()), "entry");
  return printable(json.dump(), 120);
}

// Adds the paths of values that differ, at most kMaxListed.
void compare_json(const ResultsJson& received, const ResultsJson& expected, const std::string& path,
                  std::vector<std::string>& differences) {
  if (received == expected || differences.size() >= kMaxListed) return;
  if (received.is_object() && expected.is_object()) {
    for (const auto& [key, value] : expected.items()) {
      const auto found = received.find(key);
      compare_json(found == received.end() ? ResultsJson() : *found, value,
                   path.empty() ? key : cat(path, '.', key), differences);
    }
    for (const auto& [key, value] : received.items())
      if (!expected.contains(key) && differences.size() < kMaxListed)
        differences.push_back(cat(path.empty() ? "" : path + ".", key, ": unknown key"));
  } else if (received.is_array() && expected.is_array() && received.size() == expected.size()) {
    for (std::size_t i = 0; i < expected.size(); ++i)
      compare_json(received[i], expected[i], cat(path, '[', i, ']'), differences);
  } else {
    differences.push_back(cat(path, ": received ", short_value(received), "; expected ",
                              short_value(expected), ", as computed from the runs"));
  }
}

std::string joined(const std::string& file, const std::vector<std::string>& differences) {
  std::string text;
  for (const std::string& one : differences) text += cat(text.empty() ? file + ": " : "; ", one);
  return text;
}

// The first differing line of two texts; empty if they are equal.
std::string first_difference(std::string_view received, std::string_view expected) {
  for (std::size_t line = 1;; ++line) {
    const std::size_t a = received.find('\n'), b = expected.find('\n');
    const std::string_view ours = received.substr(0, a), theirs = expected.substr(0, b);
    if (ours != theirs)
      return cat("line ", line, ": received `", printable(ours, 120), "`; expected `",
                 printable(theirs, 120), "`, as computed from the runs");
    if (a == std::string_view::npos && b == std::string_view::npos) return "";
    if (a == std::string_view::npos || b == std::string_view::npos)
      return cat("line ", line + 1, ": ", a == std::string_view::npos ? "missing" : "unexpected");
    received.remove_prefix(a + 1);
    expected.remove_prefix(b + 1);
  }
}

// Reports a file; a missing one is a note, since a comparison without report is not wrong.
template <class Check>
void audit_file(const fs::path& path, std::vector<AuditFinding>& findings, const Check& check) {
  std::error_code ignored;
  const std::string name = path.string();
  if (!fs::exists(path, ignored))
    return findings.push_back({name,
                               cat(name,
                                   ": file not found; `sluice compare --report` "
                                   "writes it"),
                               /*is_note=*/true});
  try {
    const std::string fault = check(read_file(path, kMaxReportBytes));
    findings.push_back({name, fault});
  } catch (const UserError& error) {
    findings.push_back({name, error.what()});
  }
}

// Reports of other versions of the program may have other words: of theirs, the cells and the
// figures of the verdicts are compared, if that version had them.
void compare_other_version(const ResultsJson& received, const ResultsJson& expected,
                           std::vector<std::string>& differences) {
  const auto part = [](const ResultsJson& json, const std::string& key) {
    const auto found = json.is_object() ? json.find(key) : json.end();
    return json.is_object() && found != json.end() ? *found : ResultsJson();
  };
  compare_json(part(received, "cells"), expected["cells"], "cells", differences);
  const ResultsJson summary = part(received, "summary");
  for (std::size_t v = 0; v < expected["summary"].size(); ++v) {
    const ResultsJson ours = summary.is_array() && v < summary.size() ? summary[v] : ResultsJson();
    for (const char* key : {"settings", "n", "mean"})
      compare_json(part(ours, key), part(expected["summary"][v], key),
                   cat("summary[", v, "].", key), differences);
    if (part(expected["summary"][v], "baseline") == ResultsJson(true)) continue;
    for (const char* key :
         {"difference", "difference_low", "difference_high", "sign_flip_p", "verdict"})
      if (ours.contains(key))
        compare_json(part(ours, key), part(expected["summary"][v], key),
                     cat("summary[", v, "].", key), differences);
  }
}

}  // namespace

void audit_report(const report::Comparison& comparison, const fs::path& directory,
                  std::vector<AuditFinding>& findings) {
  const report::Analysis analysis = report::analyze(comparison);
  const auto expected = ResultsJson::parse(report::json_report(comparison, analysis));
  bool is_ours = false;
  const fs::path json_file = directory / "results.json";
  audit_file(json_file, findings, [&](const std::string& text) -> std::string {
    const ResultsJson received = ResultsJson::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!received.is_object()) return cat(json_file.string(), ": not a JSON object");
    const auto versions = received.find("versions");
    is_ours = versions != received.end() && versions->is_object() &&
              versions->value("sluice", "") == comparison.version;
    std::vector<std::string> differences;
    if (is_ours) {
      compare_json(received, expected, "", differences);
    } else {
      compare_other_version(received, expected, differences);
    }
    return joined(json_file.string(), differences);
  });
  if (!is_ours)
    return findings.push_back({directory.string(),
                               cat(directory.string(),
                                   ": report of another version; of results.json, "
                                   "cells and verdicts are checked, of the other files nothing"),
                               /*is_note=*/true});
  const std::vector<std::pair<const char*, std::string>> texts{
      {"results.csv", report::csv_report(comparison)},
      {"table.md", report::markdown_report(comparison, analysis)},
      {"table.tex", report::latex_report(comparison, analysis)},
      {"report.html", report::html_report(comparison, analysis)}};
  for (const auto& [name, text] : texts) {
    const fs::path path = directory / name;
    audit_file(path, findings, [&](const std::string& content) -> std::string {
      const std::string difference = first_difference(content, text);
      return difference.empty() ? "" : cat(path.string(), ": ", difference);
    });
  }
}

void audit_seal(const report::Comparison& comparison, const fs::path& directory,
                std::vector<AuditFinding>& findings) {
  if (comparison.seal.empty()) return;
  const fs::path path = directory / "seal.txt";
  audit_file(path, findings, [&](const std::string& text) -> std::string {
    const std::string difference = first_difference(text, comparison.seal_text);
    return difference.empty() ? "" : cat(path.string(), ": ", difference);
  });
}

}  // namespace sluice::compare
