// The error that comes from the held-out sample: what if other documents had been held out? Nothing here knows about seeds as a source of
// randomness; block_model.h does that part.
//
// Documents are the sampling units, as tokens of one document are not independent. For each document k, averaged over the seeds j:
//
//   d_k = mean_j (nats of the variant − nats of the baseline)      m_k = its targets      K documents with m_k > 0
//   R = Σ d_k / Σ m_k                                              difference of log-perplexities, the ratio estimator
//   SE(R) = √( K/(K − 1) · Σ (d_k − R m_k)² ) / Σ m_k              linearised (Cochran 1977, "Sampling Techniques", chapters 6 and 9A)
//
// It equals the delete-one-document jackknife up to terms of order 1/K. The effective number of documents, (Σ m)² / Σ m² (Kish 1965), warns of
// few long documents that carry all: below about 20 the standard error is a rough guess.
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
    return std::tuple{config::field<&DocumentLoss::nats>("Cross-entropy of its targets together, in nats."),
                      config::field<&DocumentLoss::num_targets>("Its targets.")};
  }
};

// The same documents in the same order, under one seed.
struct DocumentPair {
  std::span<const DocumentLoss> variant, baseline;
};

struct SampleError {
  double difference = 0;            // R, nats per target
  std::optional<double> std_error;  // none with fewer than two documents
  std::size_t num_documents = 0;    // K
  double effective_documents = 0;
};

// UserError kBadData where documents or targets are not the same in all, or a number is not finite. No seeds, or no targets at all: none.
std::optional<SampleError> held_out_error(std::span<const DocumentPair> seeds);

}  // namespace sluice::stats
