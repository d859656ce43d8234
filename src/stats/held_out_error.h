// The sampling error of the held-out set: how the result would vary with other held-out documents.
// Randomness from seeds is the subject of block_model.h.
//
// Documents are the sampling units, because tokens of one document are not independent. Over the K
// documents k with m_k > 0 targets, averaged over the seeds j:
//
//   d_k = mean_j (nats of the variant − nats of the baseline)
//   R = Σ d_k / Σ m_k                                   difference of log-perplexities (ratio
//                                                       estimator)
//   SE(R) = √( K/(K − 1) · Σ (d_k − R m_k)² ) / Σ m_k   linearized (Cochran 1977, "Sampling
//                                                       Techniques", chapters 6 and 9A)
//
// It equals the delete-one-document jackknife up to terms of order 1/K. A small effective number of
// documents, (Σ m)² / Σ m² (Kish 1965), indicates that a few long documents dominate: below about
// 20 the standard error is a rough estimate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "config/field.h"

namespace sluice::stats {

// Held-out cross-entropy of one document: Σ nats over its targets, and their number.
struct DocumentLoss {
  static constexpr bool as_list = true;
  double nats = 0;
  std::uint64_t num_targets = 0;

  static constexpr auto fields() {
    return std::tuple{
        config::field<&DocumentLoss::nats>("Cross-entropy summed over its targets, in nats."),
        config::field<&DocumentLoss::num_targets>("Number of targets.")};
  }
};

// Losses of the same documents, in the same order, under one seed.
struct DocumentPair {
  std::span<const DocumentLoss> variant, baseline;
};

struct SampleError {
  double difference = 0;            // R, nats per target
  std::optional<double> std_error;  // none with fewer than two documents
  std::size_t num_documents = 0;    // K
  double effective_documents = 0;
};

// UserError kBadData if the numbers of documents or targets differ or a value is not finite. None
// without seeds or without targets.
std::optional<SampleError> held_out_error(std::span<const DocumentPair> seeds);

}  // namespace sluice::stats
