"""Draws how a step grows: `dinoscope bench --only growth --json` in, an SVG out.

    dinoscope bench --only growth --json > growth.json
    python bench/growth.py growth.json docs/growth.svg

Two charts, time and memory, both axes doubling: a straight line at 45 degrees grows as its size does.
"""

import json
import math
import sys
from pathlib import Path

COLOURS = {
    "tokens": "#d1495b",
    "batch": "#1b6ca8",
    "depth": "#3c8d5a",
    "prototypes": "#b07c1e",
    "locals": "#7a5195",
}
NAMES = {"locals": "local crops"}
WIDTH, HEIGHT = 450, 330
LEFT, RIGHT, TOP, BOTTOM = 46, 124, 34, 40


def lines(rows, read):
    """For every size: how many times the smallest it is, and what `read` says of it."""
    found = {}
    for row in rows:
        axis = row["way"].split()[0]
        found.setdefault(axis, []).append((row["figures"]["times"], read(row)))
    for points in found.values():
        points.sort()
    return found


def chart(title, found, left):
    most = max(max(x, y) for points in found.values() for x, y in points)
    steps = max(1, math.ceil(math.log2(most)))

    def x(times):
        return left + LEFT + (WIDTH - LEFT - RIGHT) * math.log2(times) / steps

    def y(times):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * max(0, math.log2(max(times, 1e-3))) / steps

    out = [f'<text x="{left + LEFT}" y="20" class="title">{title}</text>']
    for step in range(steps + 1):
        at = 2**step
        out.append(f'<path d="M{x(1):.1f} {y(at):.1f}H{x(2**steps):.1f}" class="grid"/>')
        out.append(f'<text x="{x(1) - 8:.1f}" y="{y(at) + 4:.1f}" text-anchor="end">×{at}</text>')
        out.append(f'<text x="{x(at):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">×{at}</text>')
    out.append(f'<path d="M{x(1):.1f} {y(1):.1f}L{x(2**steps):.1f} {y(2**steps):.1f}" class="even"/>')
    # Names at the ends of their lines, pushed apart where they would meet.
    ends = sorted((y(points[-1][1]), axis) for axis, points in found.items())
    places, last = {}, -math.inf
    for at, axis in ends:
        last = max(at, last + 14)
        places[axis] = last
    for axis, points in found.items():
        path = "L".join(f"{x(times):.1f} {y(value):.1f}" for times, value in points)
        colour = COLOURS.get(axis, "#555")
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(t):.1f}" cy="{y(v):.1f}" r="3" fill="{colour}"/>' for t, v in points]
        name = NAMES.get(axis, axis)
        label = f'x="{x(points[-1][0]) + 8:.1f}" y="{places[axis] + 4:.1f}" fill="{colour}"'
        out.append(f"<text {label}>{name} ×{points[-1][1]:.1f}</text>")
    return out


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    report = json.loads(Path(sys.argv[1]).read_text())
    rows = [row for row in report["rows"] if row["subject"] == "growth"]
    body, width = chart("time of a step", lines(rows, lambda row: row["ratio"]), 0), WIDTH
    if all("memory" in row for row in rows):
        base = rows[0]["memory"]["peak"]
        body += chart("memory of a step", lines(rows, lambda row: row["memory"]["peak"] / base), WIDTH)
        width += WIDTH
    # Labels at the ends of lines have colours of their own, as attributes.
    style = (
        "text{font:12px system-ui,sans-serif}text:not([fill]){fill:#333}"
        ".title{font-weight:600;font-size:14px}.grid{stroke:#0002}.even{stroke:#0005;stroke-dasharray:4 4}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}">'
    background = f'<rect width="{width}" height="{HEIGHT}" fill="#fff"/>'
    svg = "\n".join([head, f"<style>{style}</style>", background, *body, "</svg>"])
    Path(sys.argv[2]).write_text(svg + "\n")


if __name__ == "__main__":
    main()
