#!/bin/sh
# A short film to open with: the loss surfaces of one network without and with skip connections, dark and lit,
# on one scale, in under five seconds and 3 MB. The camera goes out and comes back, so that the film can be
# repeated without a jump. There are no axes: it is to be looked at, and not read off.
#
#   experiments/opening.sh WITHOUT.h5 WITH.h5 [OUT.gif]
#   experiments/opening.sh                      # of the demo's own two nets: a minute
#
# The files are surfaces of the code of Li et al. 2018 (HDF5), or what `lossreel export RUN --to h5`
# writes. The README's film is of the authors' own surfaces of ResNet-56,
# li2018-resnet56-noshort/surface-2d-201x201.h5 and li2018-resnet56/surface-2d-51x51.h5 of
# https://github.com/tomgoldstein/loss-landscape. LOSSREEL names the command to run.
set -eu
lossreel=${LOSSREEL:-cargo run --release --quiet --}
if [ $# -ge 2 ]; then
    without=$1 with=$2 out=${3:-outputs/opening/opening.gif}
    net=ResNet-56
else
    out=${1:-outputs/opening/opening.gif}
    work=outputs/opening
    $lossreel demo --out "$work"
    for run in with without; do
        $lossreel export "$work/${run}_shortcuts" --to h5 --out "$work/$run.h5"
    done
    with=$work/with.h5 without=$work/without.h5
    net="A small ResNet"
fi
mkdir -p "$(dirname "$out")"
camera=$(mktemp "${TMPDIR:-/tmp}/camera.XXXXXX.toml")
trap 'rm -f "$camera"' EXIT
# Out and back along a cosine, at rest at its ends: nothing jumps where the film begins again.
awk 'BEGIN {
    for (i = 0; i <= 20; i++) {
        c = cos(i * 3.14159265 / 10)
        printf "[[key]]\nat = %.2f\nazimuth = %.3f\nelevation = %.3f\n", i / 20, -114 - 24 * c, 27.5 - 5.5 * c
    }
}' >"$camera"
$lossreel render --grid-file "$without" --grid-file "$with" --as surface --camera "$camera" --no-axes \
    --theme dark --colormap magma --relief 1.9 --no-caption \
    --title "What a skip connection does to a loss surface" \
    --panel-title "$net without" --panel-title "and with" \
    --size 840x380 --scale 1.9 --passes 2 --fps 15 --frames 72 --max-size 3MB --out "$out"
