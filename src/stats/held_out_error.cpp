#include "stats/held_out_error.h"

#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::stats {
namespace {

void check(const DocumentPair& pair, std::span<const DocumentLoss> first) {
  for (const std::span<const DocumentLoss> documents : {pair.variant, pair.baseline}) {
    if (documents.size() != first.size())
      fail(ExitCode::kBadData, "held-out documents of a run", cat(documents.size()),
           cat(first.size(), ", as in the other runs"));
    for (std::size_t k = 0; k < documents.size(); ++k) {
      if (documents[k].num_targets != first[k].num_targets)
        fail(ExitCode::kBadData, cat("held-out document ", k + 1, " of a run"),
             cat(documents[k].num_targets, " targets"),
             cat(first[k].num_targets, ", as in the other runs"));
      if (!std::isfinite(documents[k].nats))
        fail(ExitCode::kBadData, cat("nats of held-out document ", k + 1), cat(documents[k].nats),
             "a finite number");
    }
  }
}

}  // namespace

std::optional<SampleError> held_out_error(std::span<const DocumentPair> seeds) {
  if (seeds.empty()) return std::nullopt;
  const std::span<const DocumentLoss> first = seeds.front().baseline;
  std::vector<double> differences(first.size());
  for (const DocumentPair& pair : seeds) {
    check(pair, first);
    for (std::size_t k = 0; k < first.size(); ++k)
      differences[k] +=
          (pair.variant[k].nats - pair.baseline[k].nats) / static_cast<double>(seeds.size());
  }

  SampleError error;
  double nats = 0, targets = 0, target_squares = 0;
  for (std::size_t k = 0; k < first.size(); ++k) {
    const double size = static_cast<double>(first[k].num_targets);
    if (size > 0) ++error.num_documents;
    nats += differences[k];
    targets += size;
    target_squares += size * size;
  }
  if (targets == 0) return std::nullopt;
  error.difference = nats / targets;
  error.effective_documents = targets * targets / target_squares;
  if (error.num_documents < 2) return error;

  double squares = 0;
  for (std::size_t k = 0; k < first.size(); ++k) {
    const double size = static_cast<double>(first[k].num_targets),
                 rest = differences[k] - error.difference * size;
    if (size > 0) squares += rest * rest;
  }
  const double count = static_cast<double>(error.num_documents);
  error.std_error = std::sqrt(count / (count - 1) * squares) / targets;
  return error;
}

}  // namespace sluice::stats
