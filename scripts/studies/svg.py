"""Line charts as SVG, for the studies."""

import math
from html import escape

COLORS = ["#1b6ca8", "#c2410c", "#2f855a", "#7c3aed", "#b7791f", "#be185d", "#0f766e", "#4b5563"]


class Chart:
    """A plot area with axes; coordinates are those of the data."""

    def __init__(self, title, size, x_range, y_range, margins=(58, 120, 34, 44)):
        self.width, self.height = size
        left, right, top, bottom = margins
        self.box = (left, top, self.width - right, self.height - bottom)
        self.x_range, self.y_range = x_range, y_range
        self.parts = [f'<text x="{left}" y="18" font-weight="bold">{escape(title)}</text>']

    def x(self, value):
        low, high = self.x_range
        return self.box[0] + (value - low) / (high - low) * (self.box[2] - self.box[0])

    def y(self, value):
        low, high = self.y_range
        return self.box[3] - (value - low) / (high - low) * (self.box[3] - self.box[1])

    def text(self, x, y, text, anchor="start", color="#374151"):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">'
            f"{escape(text)}</text>"
        )

    def line(self, points, color, width=2.0, dash=""):
        places = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in points)
        style = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<polyline points="{places}" fill="none" stroke="{color}" '
            f'stroke-width="{width}"{style}/>'
        )

    def band(self, points, color):
        """points: (x, low, high)."""
        outline = [(a, low) for a, low, _ in points] + [(a, high) for a, _, high in points[::-1]]
        places = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in outline)
        self.parts.append(f'<polygon points="{places}" fill="{color}" fill-opacity="0.15"/>')

    def dot(self, x, y, color, radius=3.0):
        self.parts.append(
            f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius}" fill="{color}"/>'
        )

    def y_axis(self, values, digits, title):
        for value in values:
            self.line([(self.x_range[0], value), (self.x_range[1], value)], "#d1d5db", 0.7)
            self.text(self.box[0] - 6, self.y(value) + 4, f"{value:.{digits}f}", "end")
        middle = (self.box[1] + self.box[3]) / 2
        self.parts.append(
            f'<text transform="translate(14,{middle:.1f}) rotate(-90)" text-anchor="middle" '
            f'fill="#374151">{escape(title)}</text>'
        )

    def x_axis(self, labels, title):
        """labels: {x: text}."""
        for value, text in labels.items():
            self.text(self.x(value), self.box[3] + 16, text, "middle")
        self.text((self.box[0] + self.box[2]) / 2, self.box[3] + 34, title, "middle")

    def __str__(self):
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" font-family="sans-serif" font-size="12">'
            '\n<rect width="100%" height="100%" fill="white"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def ticks(low, high, wanted=5):
    """Round values that cover the range, and their number of decimals."""
    step = 10 ** math.floor(math.log10((high - low) / wanted))
    step = next(step * f for f in (1, 2, 5, 10) if (high - low) / (step * f) <= wanted)
    first, last = math.floor(low / step), math.ceil(high / step)
    digits = max(0, -math.floor(math.log10(step)))
    return [step * k for k in range(first, last + 1)], digits
