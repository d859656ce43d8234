#include "report/published.h"

#include <algorithm>

namespace sluice::report {

const Published* published_result(const Comparison& comparison, const Variant& variant) {
  if (comparison.objective != "span_corruption" || comparison.metric != Metric::kLogPerplexity)
    return nullptr;
  const auto is_ffn = [](const auto& setting) { return setting.first == "model.ffn"; };
  const auto setting = std::find_if(variant.settings.begin(), variant.settings.end(), is_ffn);
  if (setting == variant.settings.end()) return nullptr;
  const auto row = std::find_if(kPublished.begin(), kPublished.end(),
                                [&](const Published& one) { return one.ffn == setting->second; });
  return row == kPublished.end() ? nullptr : &*row;
}

bool has_published(const Comparison& comparison) {
  return std::any_of(
      comparison.variants.begin(), comparison.variants.end(),
      [&](const Variant& variant) { return published_result(comparison, variant) != nullptr; });
}

}  // namespace sluice::report
