#!/bin/sh
# A short film to open with: two loss surfaces of ResNet-56 on CIFAR-10, with and without skip
# connections, dark and lit, in under five seconds and 3 MB. The camera goes out and comes back, so that the
# film can be repeated without a jump.
#
#   experiments/opening.sh WITH.h5 WITHOUT.h5 [OUT.gif]
#   experiments/opening.sh                      # of the demo's own two nets: a minute
#
# The files are surfaces of the code of Li et al. 2018 (HDF5), or what `lossreel export RUN --to h5`
# writes. LOSSREEL names the command to run.
set -eu
lossreel=${LOSSREEL:-cargo run --release --quiet --}
if [ $# -ge 2 ]; then
    with=$1 without=$2 out=${3:-outputs/opening/opening.gif}
    title="ResNet-56, with and without skip connections"
else
    out=${1:-outputs/opening/opening.gif}
    work=outputs/opening
    $lossreel demo --out "$work"
    for net in with without; do
        $lossreel export "$work/${net}_shortcuts" --to h5 --out "$work/$net.h5"
    done
    with=$work/with.h5 without=$work/without.h5
    title="A small ResNet, with and without skip connections"
fi
folder=$(dirname "$out")
mkdir -p "$folder"
camera=$(mktemp "${TMPDIR:-/tmp}/camera.XXXXXX.toml")
trap 'rm -f "$camera"' EXIT
cat >"$camera" <<'KEYS'
[[key]]
at = 0.0
azimuth = -142
elevation = 27
[[key]]
at = 0.5
azimuth = -98
elevation = 33
[[key]]
at = 1.0
azimuth = -142
elevation = 27
KEYS
$lossreel render --grid-file "$with" --grid-file "$without" --as surface --camera "$camera" \
    --theme dark --colormap inferno --relief 1.4 --title "$title" --panel-title "With" --panel-title "Without" --no-caption \
    --size 800x400 --scale 1.5 --fps 14 --frames 63 --max-size 3MB --out "$out"
