"""The numbers of statistics.json: what scipy says of a few small samples.

    pip install scipy numpy && python3 tests/oracles/statistics.py > tests/oracles/statistics.json
"""

import json

import numpy as np
import scipy
from scipy import stats


def interval(values):
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    return [low, high]


def main():
    rng = np.random.default_rng(7)
    cases = []
    for n in (2, 3, 5, 12):
        a = rng.normal(90.0, 2.0, n).round(3)
        b = (a + rng.normal(1.0, 0.8, n)).round(3)
        d = b - a
        paired = stats.ttest_rel(b, a)
        welch = stats.ttest_ind(b, a, equal_var=False)
        welch_interval = welch.confidence_interval(0.95)
        cases.append(
            {
                "a": a.tolist(),
                "b": b.tolist(),
                "mean": float(np.mean(d)),
                "sd": float(np.std(d, ddof=1)),
                "interval": interval(d),
                "p_paired": float(paired.pvalue),
                "p_welch": float(welch.pvalue),
                "welch_interval": [welch_interval.low, welch_interval.high],
            }
        )
    p = [0.01, 0.02, 0.03, 0.04, 0.2, 0.005]
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = highest
    wilson = []
    for right, total in ((0, 10), (9, 10), (9123, 10000), (500, 1000)):
        ci = stats.binomtest(right, total).proportion_ci(0.95, method="wilson")
        wilson.append({"right": right, "total": total, "low": ci.low, "high": ci.high})
    # The smallest sample whose paired test has a power of 80 %, by the noncentral t.
    needed = []
    for effect in (0.2, 0.4, 0.8, 1.5, 3.0):
        n = 2
        while stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect * np.sqrt(n)) < 0.8:
            n += 1
        needed.append({"effect": effect, "n": n})
    print(
        json.dumps(
            {
                "scipy": scipy.__version__,
                "cases": cases,
                "holm": {"p": p, "adjusted": adjusted.tolist()},
                "wilson": wilson,
                "needed": needed,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
