// Writes SVG drawings. Shapes have CSS classes; colors and fonts are defined in the style sheet of
// the page. Lengths are in CSS pixels at natural size; y points down.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::report {

struct Point {
  double x = 0;
  double y = 0;
};

struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
};

class Svg {
 public:
  // `label`: text for screen readers.
  Svg(double width, double height, std::string_view label);

  void line(Point from, Point to, std::string_view css_class);
  void path(std::span<const Point> points, std::string_view css_class);
  void band(std::span<const Point> upper, std::span<const Point> lower, std::string_view css_class);
  void dot(Point at, double radius, std::string_view css_class, std::string_view tip = "");
  void diamond(Point at, double radius, std::string_view css_class, std::string_view tip = "");
  enum class Pointing { kLeft, kRight };
  void triangle(Point at, double radius, Pointing to, std::string_view css_class,
                std::string_view tip = "");
  // class "e": `at` is the end of the text; "m": its middle
  void text(Point at, std::string_view text, std::string_view css_class);
  void open_group(std::string_view css_class);
  void close_group();
  // Clips to `box` until close_viewport(); coordinates are unchanged.
  void open_viewport(const Box& box);
  void close_viewport();

  std::string finish();

 private:
  void attribute(std::string_view name, double value);
  void put(double value);
  void close_shape(std::string_view element, std::string_view tip);
  void outline(std::span<const Point> corners, std::string_view css_class, std::string_view tip);
  std::string out_;
};

// Estimated width of a text at the font size of plot labels.
double text_width(std::string_view text);

// About `about` multiples of 1, 2 or 5 · 10^k in [low, high], and the digits to print them with.
struct Ticks {
  std::vector<double> values;
  int digits = 0;
};
Ticks nice_ticks(double low, double high, int about);

// A linear scale that maps [low, high] to [begin, end].
struct Axis {
  double low = 0, high = 1;
  double begin = 0, end = 1;
  double at(double value) const;
};

// A plot area with its axes.
struct Frame {
  Axis x, y;
  Box box;
};
struct AxisTitles {
  std::string x, y;
};
struct Range {
  double low = 0, high = 1;
};
// Draws grid, ticks and titles around `box`.
Frame draw_frame(Svg& svg, const Box& box, const Range& x, const Range& y,
                 const AxisTitles& titles);

// Label positions close to `wanted`, at least `gap` apart and within [top, bottom] if they fit.
std::vector<double> spread_labels(std::span<const double> wanted, double gap, double top,
                                  double bottom);

}  // namespace sluice::report
