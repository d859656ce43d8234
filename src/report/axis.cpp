// Axes, frames and label placement (svg.h).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/text_format.h"
#include "report/svg.h"
#include "report/text.h"

namespace sluice::report {
namespace {

constexpr double kTickSpace = 56, kRowSpace = 44;  // pixels per tick, across and down

std::string tick_text(double value, int digits) {
  return digits == 0 && std::abs(value) >= 1e4 ? with_commas(std::llround(value))
                                               : number_text(value, digits);
}

}  // namespace

double Axis::at(double value) const {
  return high == low ? (begin + end) / 2 : begin + (value - low) / (high - low) * (end - begin);
}

Ticks nice_ticks(double low, double high, int about) {
  if (!(high > low)) return {.values = {low}, .digits = 2};
  const double rough = (high - low) / std::max(about, 1);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double step = power * (rough / power <= 1   ? 1
                               : rough / power <= 2 ? 2
                               : rough / power <= 5 ? 5
                                                    : 10);
  Ticks ticks{.values = {},
              .digits = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)))};
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  const auto count = static_cast<int>(last - first) + 1;
  for (int i = 0; i < count; ++i) ticks.values.push_back((first + i) * step);
  return ticks;
}

Frame draw_frame(Svg& svg, const Box& box, const Range& x, const Range& y,
                 const AxisTitles& titles) {
  const Frame frame = {.x = {x.low, x.high, box.left, box.right},
                       .y = {y.low, y.high, box.bottom, box.top},
                       .box = box};
  const Ticks across =
      nice_ticks(x.low, x.high, std::max(2, static_cast<int>((box.right - box.left) / kTickSpace)));
  const Ticks down =
      nice_ticks(y.low, y.high, std::max(4, static_cast<int>((box.bottom - box.top) / kRowSpace)));
  for (const double value : down.values) {
    const double at = frame.y.at(value);
    svg.line({box.left, at}, {box.right, at}, "grid");
    svg.text({box.left - 6, at + 4}, tick_text(value, down.digits), "tick e");
  }
  svg.line({box.left, box.bottom}, {box.right, box.bottom}, "axis");
  for (const double value : across.values) {
    const double at = frame.x.at(value);
    svg.line({at, box.bottom}, {at, box.bottom + 4}, "axis");
    svg.text({at, box.bottom + 17}, tick_text(value, across.digits), "tick m");
  }
  if (!titles.x.empty())
    svg.text({(box.left + box.right) / 2, box.bottom + 35}, titles.x, "title m");
  if (!titles.y.empty()) svg.text({0, box.top - 10}, titles.y, "title");
  return frame;
}

std::vector<double> spread_labels(std::span<const double> wanted, double gap, double top,
                                  double bottom) {
  std::vector<std::size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  if (wanted.size() > 1)
    gap = std::min(gap, (bottom - top) / static_cast<double>(wanted.size() - 1));
  // Labels that would overlap form a block around the mean of their wanted positions; blocks that
  // touch are merged.
  struct Block {
    double sum = 0;  // of wanted positions, each minus its offset within the block
    std::size_t first = 0, count = 0;
    double begin = 0;
  };
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < order.size(); ++i) {
    blocks.push_back({.sum = wanted[order[i]], .first = i, .count = 1});
    while (true) {
      Block& last = blocks.back();
      const double length = gap * static_cast<double>(last.count - 1);
      last.begin = std::clamp(last.sum / static_cast<double>(last.count), top,
                              std::max(top, bottom - length));
      if (blocks.size() < 2) break;
      Block& before = blocks[blocks.size() - 2];
      const double shift = gap * static_cast<double>(before.count);
      if (before.begin + shift <= last.begin + 1e-9) break;
      before.sum += last.sum - shift * static_cast<double>(last.count);
      before.count += last.count;
      blocks.pop_back();
    }
  }
  std::vector<double> places(wanted.size());
  for (const Block& block : blocks) {
    for (std::size_t i = 0; i < block.count; ++i)
      places[order[block.first + i]] = block.begin + gap * static_cast<double>(i);
  }
  return places;
}

}  // namespace sluice::report
