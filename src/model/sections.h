// The parts of the parameter arena that a stack declares: one for each block, and one for what
// follows the blocks (final norm, untied head).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/final_gradients.h"
#include "ops/parameters.h"

namespace sluice::model {

class Sections {
 public:
  // The next section begins here.
  void begin(const ops::Parameters& parameters) { next_ = parameters.arena_elements(); }
  // Appends the section of what has been declared since, and begins the next one.
  void end(const ops::Parameters& parameters) {
    ranges_.push_back({next_, parameters.arena_elements()});
    begin(parameters);
  }
  // Adds what has been declared since to the last section.
  void extend(const ops::Parameters& parameters) {
    ranges_.back().end = parameters.arena_elements();
    begin(parameters);
  }

  // Before the forward pass computes section i from `input`: tells the listeners of `context`.
  void tell(std::size_t i, const ops::Residual& input, const ops::Context& context) const {
    if (context.before_section != nullptr) (*context.before_section)(ranges_.at(i));
    ops::tell_final_gradients(input, ranges_.at(i), context);
  }

  // For LanguageModel::gradient_sections().
  std::vector<ops::ArenaRange> last_to_first() const { return {ranges_.rbegin(), ranges_.rend()}; }

 private:
  std::int64_t next_ = 0;
  std::vector<ops::ArenaRange> ranges_;
};

}  // namespace sluice::model
