// Turns a comparison into the files of its directory:
//
//   table.md      laid out like Table 1 of "GLU Variants Improve Transformer" (arXiv 2002.05202), that table's figures beside it
//   table.tex     the same for a paper (booktabs)
//   results.csv   one row per cell
//   results.json  `cells`, `summary` and where they come from; its keys are promises (docs/reports.md)
//   report.html   one page without network, scripts or fonts from elsewhere
//
// All are functions of the comparison alone: the same comparison gives the same bytes. Errors: those of analyse(); kIo where a file cannot be
// written.
#pragma once

#include <filesystem>
#include <string>

#include "report/analysis.h"
#include "report/comparison.h"

namespace sluice::report {

// Makes `directory` where it is missing; each file appears whole or not at all.
void write_report(const Comparison& comparison, const std::filesystem::path& directory);

// The table for a terminal, with what must be said beside it.
std::string console_table(const Comparison& comparison);

std::string markdown_report(const Comparison& comparison, const Analysis& analysis);
std::string latex_report(const Comparison& comparison, const Analysis& analysis);
std::string csv_report(const Comparison& comparison);
std::string json_report(const Comparison& comparison, const Analysis& analysis);
std::string html_report(const Comparison& comparison, const Analysis& analysis);

}  // namespace sluice::report
