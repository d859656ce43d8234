// Scalable drawings for a page, written as text: shapes with classes, whose colours and fonts the page's style sheet gives. Lengths are CSS pixels at
// natural size, y downwards.
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
  // `label`: what a screen reader says of it.
  Svg(double width, double height, std::string_view label);

  void line(Point from, Point to, std::string_view css_class);
  void path(std::span<const Point> points, std::string_view css_class);
  void band(std::span<const Point> upper, std::span<const Point> lower, std::string_view css_class);
  void dot(Point at, double radius, std::string_view css_class, std::string_view tip = "");
  void diamond(Point at, double radius, std::string_view css_class, std::string_view tip = "");
  enum class Pointing { kLeft, kRight };
  void triangle(Point at, double radius, Pointing to, std::string_view css_class, std::string_view tip = "");
  void text(Point at, std::string_view text, std::string_view css_class);  // class "e": ends there; "m": its middle is there
  void open_group(std::string_view css_class);
  void close_group();
  // A window that cuts off what lies outside; coordinates in it stay those of the drawing.
  void open_window(const Box& box);
  void close_window();

  std::string finish();

 private:
  void attribute(std::string_view name, double value);
  void put(double value);
  void close_shape(std::string_view element, std::string_view tip);
  void outline(std::span<const Point> corners, std::string_view css_class, std::string_view tip);
  std::string out_;
};

// What a text is likely to take at the size of the plots' labels.
double text_width(std::string_view text);

// The numbers 1, 2 or 5 · 10^k apart that lie within [low, high], `about` of them; and their texts.
struct Ticks {
  std::vector<double> values;
  int digits = 0;
};
Ticks nice_ticks(double low, double high, int about);

// A linear scale: `low` at `begin`, `high` at `end`.
struct Axis {
  double low = 0, high = 1;
  double begin = 0, end = 1;
  double at(double value) const;
};

// Grid, ticks and titles around `box`.
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
Frame draw_frame(Svg& svg, const Box& box, const Range& x, const Range& y, const AxisTitles& titles);

// Places for labels beside the heights `wanted`, at least `gap` apart and within [top, bottom] as far as they fit, each as near as may be.
std::vector<double> spread(std::span<const double> wanted, double gap, double top, double bottom);

}  // namespace sluice::report
