"""Times to target of the AlgoPerf v0.5 competition, from its public logs.

Usage: python3 tests/oracles/algoperf.py CLONE > tests/oracles/algoperf.json

CLONE is a clone (bare or not) of https://github.com/mlcommons/submissions_algorithms (Apache-2.0),
which holds the logs of the competition under previous_leaderboards/algoperf_v05. Only Python's
standard library and git are needed.

For each ruleset, submission, workload, study and trial the table holds null where the validation
target was not reached, or else [evaluation, seconds]: the number of the first evaluation, from 0,
at which it was reached, and the submission's own time by then (the column `score`), in seconds. A
trial without a log of evaluations is left out: it counts as one that did not reach the target. The
published scores, which the tests recompute from the table, come from the README of that folder.
"""

import csv
import io
import json
import re
import subprocess
import sys
from collections import defaultdict

ROOT = "previous_leaderboards/algoperf_v05"
TARGETS = "scoring/workload_targets_v05.json"
# Metrics of which a smaller value is better; of the others a larger one is.
SMALLER_IS_BETTER = {"loss", "wer", "error_rate", "ce_loss", "ctc_loss", "l1_loss", "ppl"}
LOG = re.compile(
    rf"^{ROOT}/logs/(external_tuning|self_tuning)/([^/]+)/study_(\d+)"
    r"/([^/]+?)_(?:jax|pytorch)/trial_(\d+)/eval_measurements\.csv$"
)


def git(clone, *arguments, stdin=None):
    command = ["git", "-C", clone, *arguments]
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True).stdout


def read_all(clone, paths):
    """The text of each path at HEAD, by one call of git."""
    out = git(clone, "cat-file", "--batch", stdin="".join(f"HEAD:{p}\n" for p in paths).encode())
    texts, at = {}, 0
    for path in paths:
        end = out.index(b"\n", at)
        header = out[at:end].split()
        if header[1] != b"blob":
            raise SystemExit(f"{path} cannot be read: {out[at:end].decode()}")
        size = int(header[2])
        texts[path] = out[end + 1 : end + 1 + size].decode()
        at = end + 1 + size + 1
    return texts


def first_reached(text, metric, target):
    """[evaluation, seconds] of the first evaluation at which the target holds, or None."""
    for index, row in enumerate(csv.DictReader(io.StringIO(text))):
        cell = row.get(f"validation/{metric}", "")
        if cell == "":
            continue
        value = float(cell)
        if value <= target if metric in SMALLER_IS_BETTER else value >= target:
            return [index, round(float(row["score"]), 1)]
    return None


def published(clone):
    """{ruleset: [score, ...]} in the order of the leaderboards, with their links' folder names."""
    text = git(clone, "show", f"HEAD:{ROOT}/README.md").decode()
    row = re.compile(r"\]\(logs/(external_tuning|self_tuning)/([^/)]+)/?\).*\*\*([0-9.]+)\*\*")
    scores = defaultdict(dict)
    for line in text.splitlines():
        found = row.search(line)
        if found:
            ruleset, submission, score = found.groups()
            scores[ruleset][submission] = float(score)
        elif line.startswith("| ") and "Baseline" in line:
            ruleset = re.search(r"submissions/(\w+)/baseline", line).group(1)
            scores[ruleset]["baseline"] = float(re.search(r"\*\*([0-9.]+)\*\*\s*\|\s*$", line)[1])
    return scores


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    clone = sys.argv[1]
    commit = git(clone, "rev-parse", "HEAD").decode().strip()
    targets = json.loads(git(clone, "show", f"HEAD:{TARGETS}"))
    paths = git(clone, "ls-tree", "-r", "--name-only", "HEAD", f"{ROOT}/logs").decode().splitlines()
    logs = {p: m.groups() for p in paths if (m := LOG.match(p))}
    texts = read_all(clone, list(logs))
    times = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(dict))))
    for path, (ruleset, submission, study, workload, trial) in logs.items():
        goal = targets["workloads"][workload]
        found = first_reached(
            texts[path], goal["target_metric_name"], goal["validation_target_value"]
        )
        times[ruleset][submission][workload][study][trial] = found
    rulesets = {}
    for ruleset, submissions in times.items():
        rulesets[ruleset] = {
            name: {
                "published": published(clone)[ruleset][name],
                "times": {
                    workload: [
                        [studies[s][t] for t in sorted(studies[s], key=int)]
                        for s in sorted(studies, key=int)
                    ]
                    for workload, studies in workloads.items()
                },
            }
            for name, workloads in submissions.items()
        }
    table = {
        "source": "https://github.com/mlcommons/submissions_algorithms",
        "license": "Apache-2.0",
        "commit": commit,
        "base_workloads": targets["base_workloads"],
        "held_out_workloads": targets["held_out_workloads"],
        "rulesets": rulesets,
    }
    # One line a workload: small, and a difference shows where it is.
    text = json.dumps(table, separators=(",", ":"))
    print(re.sub(r'("\w+":\[\[)', r"\n\1", text))


if __name__ == "__main__":
    main()
