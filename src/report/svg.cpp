#include "report/svg.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text_format.h"
#include "report/text.h"

namespace sluice::report {
namespace {

constexpr double kCharacterWidth = 6.6;  // on average, at 12.5 px

}  // namespace

double text_width(std::string_view text) {
  return kCharacterWidth * static_cast<double>(num_characters(text));
}

Svg::Svg(double width, double height, std::string_view label) {
  out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 ";
  put(width);
  out_ += ' ';
  put(height);
  out_ += cat("\" width=\"", shortest(width), "\" height=\"", shortest(height), "\" aria-label=\"",
              html_text(label), "\">\n");
}

// One decimal: a tenth of a pixel.
void Svg::put(double value) {
  const auto tenths =
      std::isfinite(value) ? static_cast<long>(std::lround(std::clamp(value, -1e6, 1e6) * 10)) : 0L;
  if (tenths < 0) out_ += '-';
  out_ += std::to_string(std::labs(tenths) / 10);
  if (tenths % 10 != 0) out_.append(".").append(std::to_string(std::labs(tenths) % 10));
}

void Svg::attribute(std::string_view name, double value) {
  out_.append(" ").append(name).append("=\"");
  put(value);
  out_ += '"';
}

void Svg::close_shape(std::string_view element, std::string_view tip) {
  out_ += tip.empty() ? std::string("/>\n")
                      : cat("><title>", html_text(tip), "</title></", element, ">\n");
}

void Svg::line(Point from, Point to, std::string_view css_class) {
  out_.append("<line class=\"").append(css_class).append("\"");
  attribute("x1", from.x);
  attribute("y1", from.y);
  attribute("x2", to.x);
  attribute("y2", to.y);
  out_ += "/>\n";
}

void Svg::path(std::span<const Point> points, std::string_view css_class) {
  if (points.empty()) return;
  out_.append("<polyline class=\"").append(css_class).append("\" points=\"");
  for (const Point& point : points) {
    put(point.x);
    out_ += ',';
    put(point.y);
    out_ += ' ';
  }
  out_.back() = '"';
  out_ += "/>\n";
}

void Svg::band(std::span<const Point> upper, std::span<const Point> lower,
               std::string_view css_class) {
  if (upper.empty()) return;
  std::vector<Point> outline(upper.begin(), upper.end());
  outline.insert(outline.end(), lower.rbegin(), lower.rend());
  path(outline, css_class);
}

void Svg::dot(Point at, double radius, std::string_view css_class, std::string_view tip) {
  out_.append("<circle class=\"").append(css_class).append("\"");
  attribute("cx", at.x);
  attribute("cy", at.y);
  attribute("r", radius);
  close_shape("circle", tip);
}

void Svg::outline(std::span<const Point> corners, std::string_view css_class,
                  std::string_view tip) {
  out_.append("<path class=\"").append(css_class).append("\" d=\"M");
  for (const Point& corner : corners) {
    put(corner.x);
    out_ += ' ';
    put(corner.y);
    out_ += ' ';
  }
  out_ += "Z\"";
  close_shape("path", tip);
}

void Svg::diamond(Point at, double radius, std::string_view css_class, std::string_view tip) {
  const std::array corners = {Point{at.x, at.y - radius}, Point{at.x + radius, at.y},
                              Point{at.x, at.y + radius}, Point{at.x - radius, at.y}};
  outline(corners, css_class, tip);
}

void Svg::triangle(Point at, double radius, Pointing to, std::string_view css_class,
                   std::string_view tip) {
  const double ahead = to == Pointing::kLeft ? -radius : radius;
  const std::array corners = {Point{at.x + ahead, at.y}, Point{at.x - ahead, at.y - radius},
                              Point{at.x - ahead, at.y + radius}};
  outline(corners, css_class, tip);
}

void Svg::text(Point at, std::string_view text, std::string_view css_class) {
  out_.append("<text");
  if (!css_class.empty()) out_.append(" class=\"").append(css_class).append("\"");
  attribute("x", at.x);
  attribute("y", at.y);
  out_.append(">").append(html_text(text)).append("</text>\n");
}

void Svg::open_group(std::string_view css_class) {
  out_.append("<g class=\"").append(css_class).append("\">\n");
}

void Svg::close_group() { out_ += "</g>\n"; }

void Svg::open_viewport(const Box& box) {
  out_ += "<svg";
  attribute("x", box.left);
  attribute("y", box.top);
  attribute("width", box.right - box.left);
  attribute("height", box.bottom - box.top);
  out_ += " viewBox=\"";
  for (const double value : {box.left, box.top, box.right - box.left, box.bottom - box.top}) {
    put(value);
    out_ += ' ';
  }
  out_.back() = '"';
  out_ += ">\n";
}

void Svg::close_viewport() { out_ += "</svg>\n"; }

std::string Svg::finish() { return out_ + "</svg>\n"; }

}  // namespace sluice::report
