"""Expected numbers for src/measures/smad.rs: SMAD and persistence by LBNL's landscaper.

    pip install landscaper==1.3.1
    python tests/oracles/landscaper.py > tests/oracles/landscaper.json

Rosenbrock's valley on grids shifted so that no two losses are equal (topopy orders equal ones by its own
rules), a surface of waves, one of noise. The persistence of a minimum is that of its entry in the merge
sequence of topopy's Morse-Smale complex; the deepest one, which nothing swallows, is left out. topopy keeps
losses in f32, so they are rounded to f32 here. Of noise persistence alone is kept: topopy's contour tree
has fewer arcs there than a tree of all nodes has.
"""
import json
import sys

import numpy as np
from landscaper.landscape import LossLandscape


def case(name, loss, ranges, has_smad=True):
    loss = loss.astype(np.float32).astype(np.float64)
    assert len(np.unique(loss)) == loss.size, name
    found = LossLandscape(loss, ranges)
    complex_ = found.get_ms_complex()
    lowest = int(loss.argmin())
    minima = {k: v[0] for k, v in complex_.get_merge_sequence().items() if complex_.get_classification(k) == "minimum"}
    pairs = sorted((int(k), float(v)) for k, v in minima.items() if k != lowest)
    plain, weighted = found.smad(), found.smad(weighted=True)
    print(f"{name}: {len(pairs) + 1} minima, SMAD {plain:.6g}, weighted {weighted:.6g}", file=sys.stderr)
    return {
        "name": name,
        "xs": [float(x) for x in ranges[0]],
        "ys": [float(y) for y in ranges[1]],
        "values": [float(f"{v:.9g}") for v in loss.reshape(-1)],
        "smad": float(plain) if has_smad else None,
        "smad_weighted": float(weighted) if has_smad else None,
        "persistence": pairs,
    }


def rosenbrock(n, shift):
    xs, ys = np.linspace(-2 + shift, 2 + shift, n), np.linspace(-1 - shift, 3 - shift, n)
    x, y = np.meshgrid(xs, ys)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2, [xs, ys]


def waves(n):
    xs, ys = np.linspace(-1, 1, n), np.linspace(-1, 1, n)
    x, y = np.meshgrid(xs, ys)
    loss = x**2 + 1.3 * y**2 + 0.4 * np.sin(7.1 * x + 0.3) * np.cos(6.3 * y - 0.2) + 0.05 * x + 0.031 * y
    return loss, [xs, ys]


def main():
    noise = np.random.default_rng(123456).random((10, 10))
    axis = np.linspace(-1, 1, 10)
    cases = [
        case("rosenbrock 12", *rosenbrock(12, 0.0137)),
        case("rosenbrock 20", *rosenbrock(20, 0.0137)),
        case("rosenbrock 25", *rosenbrock(25, 0.0311)),
        case("waves 20", *waves(20)),
        case("noise 10", noise, [axis, axis], has_smad=False),
    ]
    print(json.dumps(cases, separators=(",", ":")).replace("},{", "},\n{"))


if __name__ == "__main__":
    main()
