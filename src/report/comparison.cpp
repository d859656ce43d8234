#include "report/comparison.h"

namespace sluice::report {

std::string label_of(const Settings& settings) {
  std::string label;
  for (const auto& [key, value] : settings) label.append(label.empty() ? "" : ", ").append(value);
  return label;
}

}  // namespace sluice::report
