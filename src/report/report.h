// Writes the report of a comparison:
//
//   table.md      laid out like Table 1 of "GLU Variants Improve Transformer" (arXiv 2002.05202),
//                 with the values of that table alongside
//   table.tex     the same as LaTeX (booktabs)
//   results.csv   one row per cell
//   results.json  cells, statistics and their provenance; its keys are stable (docs/reports.md)
//   report.html   one self-contained page without scripts
//   seal.txt      the sealed values of all cells, unless no cell is sealed
//
// All files are functions of the comparison alone: the same comparison gives the same bytes.
// Errors: those of analyze(); kIo if a file cannot be written.
#pragma once

#include <filesystem>
#include <string>

#include "report/analysis.h"
#include "report/comparison.h"

namespace sluice::report {

// Creates `directory` if it is missing; each file is written atomically.
void write_report(const Comparison& comparison, const std::filesystem::path& directory);

// The table for a terminal, followed by the verdict, its conditions and remarks.
std::string console_table(const Comparison& comparison);

std::string markdown_report(const Comparison& comparison, const Analysis& analysis);
std::string latex_report(const Comparison& comparison, const Analysis& analysis);
std::string csv_report(const Comparison& comparison);
std::string json_report(const Comparison& comparison, const Analysis& analysis);
std::string html_report(const Comparison& comparison, const Analysis& analysis);

}  // namespace sluice::report
