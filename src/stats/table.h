// One metric of every variant under every seed. A cell has a value, is waiting for one, or is
// broken (its run diverged or failed).
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace sluice::stats {

class Table {
 public:
  // All cells waiting.
  Table(std::size_t num_variants, std::size_t num_seeds);

  std::size_t num_variants() const { return num_variants_; }
  std::size_t num_seeds() const { return num_seeds_; }

  // A finished cell. UserError kBadData for NaN and infinity: use set_broken() for diverged runs.
  void set(std::size_t variant, std::size_t seed, double value);
  void set_broken(std::size_t variant, std::size_t seed);

  std::optional<double> value(std::size_t variant, std::size_t seed) const;  // none unless finished
  bool broken(std::size_t variant, std::size_t seed) const;

 private:
  struct Cell {
    std::optional<double> value;
    bool broken = false;
  };
  // InvariantError outside the table
  const Cell& cell(std::size_t variant, std::size_t seed) const;

  std::size_t num_variants_, num_seeds_;
  std::vector<Cell> cells_;
};

}  // namespace sluice::stats
