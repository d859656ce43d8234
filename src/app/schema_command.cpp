#include <algorithm>
#include <array>
#include <iostream>

#include "app/commands.h"
#include "app/compare_outputs.h"
#include "app/doctor_output.h"
#include "app/noise_study.h"
#include "app/text_records.h"
#include "base/error.h"
#include "base/text_format.h"
#include "compare/cell.h"
#include "compare/comparison_file.h"
#include "compare/step_times.h"
#include "data/prepared_folder.h"
#include "data/token_overlap.h"
#include "report/results_record.h"
#include "run/run_record.h"
#include "store/manifest.h"
#include "store/run_result.h"
#include "train/checkpoint_state.h"
#include "train/metrics_lines.h"

namespace sluice::app {
namespace {

template <class... Records>
constexpr std::array<config::RecordKind, sizeof...(Records)> kinds_of() {
  return {config::record_kind<Records>()...};
}

// All kinds of records: files of a run, a comparison and prepared data, then --json output.
constexpr auto kKinds =
    kinds_of<store::RunResult, run::RunRecord, train::StepLine, train::EvaluationLine,
             store::Manifest, train::CheckpointState, compare::ComparisonRecord,
             compare::CellRecord, report::ResultsRecord, compare::StepTimesRecord,
             compare::JobsRecord, data::PreparedManifest, data::OverlapRecord, TrainOutput,
             PrepareOutput, EvalOutput, GenerateInput, GenerateOutput, ScoreInput, ScoreOutput,
             ExportOutput, ImportOutput, PlanOutput, MeasuredPlanOutput, CompareOutput,
             ForecastOutput, NoiseOutput, VerdictOutput, AuditOutput, VerifyOutput, DoctorOutput>();

}  // namespace

void schema_command(const SchemaOptions& options) {
  if (options.docs) {
    std::cout << config::record_page(kKinds);
    return;
  }
  std::string names;
  for (const config::RecordKind& kind : kKinds) {
    if (options.name == kind.format->name) {
      std::cout << config::record_schema(kind);
      return;
    }
    if (options.name.empty()) std::cout << kind.format->name << "  " << kind.format->place << "\n";
    names += cat(names.empty() ? "" : ", ", kind.format->name);
  }
  if (!options.name.empty())
    fail(ExitCode::kUsage, "NAME", printable(options.name), cat("one of ", names));
}

}  // namespace sluice::app
