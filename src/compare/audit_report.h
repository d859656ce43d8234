// The part of an audit that computes the files of a report again (audit.h).
#pragma once

#include <filesystem>
#include <vector>

#include "compare/audit.h"

namespace sluice::compare {

// results.json, results.csv, table.md, table.tex and report.html in `directory`. Of a report by
// another version of the program, only the figures of results.json.
void audit_report(const report::Comparison& comparison, const std::filesystem::path& directory,
                  std::vector<AuditFinding>& findings);

// seal.txt, if any run is sealed.
void audit_seal(const report::Comparison& comparison, const std::filesystem::path& directory,
                std::vector<AuditFinding>& findings);

}  // namespace sluice::compare
