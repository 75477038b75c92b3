#!/bin/sh
# Every shipped sweep and comparison at its smallest size, with its report: some minutes on 2 cores, on the
# embedded digits. For a nightly build, and to see that an experiment still runs before it is given a day.
#
#   experiments/smoke.sh [NAME ...]              # all, or those named
#
# Results are in outputs/NAME-smoke and outputs/compare_NAME-smoke. LOSSREEL names the command to run.
set -eu
here=$(dirname "$0")
lossreel=${LOSSREEL:-cargo run --release --quiet --}
# Names have no blanks.
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(cd "$here" && grep -l '^\[scale\.smoke\]' -- *.toml | sed 's/\.toml$//')
for name in "$@"; do
    began=$(date +%s)
    if grep -q '^rules = ' "$here/$name.toml"; then
        $lossreel compare "$here/$name.toml" --scale smoke --quiet
    else
        $lossreel sweep "$here/$name.toml" --scale smoke --quiet
        $lossreel report "outputs/$name-smoke"
    fi
    echo "== $name: $(($(date +%s) - began)) s"
done
