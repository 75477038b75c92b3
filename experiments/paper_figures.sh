#!/bin/sh
# Our versions of four figures of Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", drawn from
# the surfaces that the authors computed: Fig. 1 (a) and (b) in space, the contours of ResNet-56 at their
# levels, and its loss and accuracy along a line. One sheet of the four; with a folder of the paper's own
# pictures each of ours stands beside theirs.
#
#   experiments/paper_figures.sh DATA [OUT] [THEIRS]
#
# DATA holds li2018-resnet56/surface-2d-51x51.h5 and curve-1d-51.h5, and
# li2018-resnet56-noshort/surface-2d-201x201.h5, from https://github.com/tomgoldstein/loss-landscape. OUT
# is a folder, outputs/paper_figures without one. THEIRS holds pictures of that repository whose names
# begin with fig1a, fig1b, resnet56-contour and, where there is one, resnet56-curve. LOSSREEL names the
# command to run; the sheets need ffmpeg.
set -eu
if [ $# -lt 1 ]; then
    sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
lossreel=${LOSSREEL:-cargo run --release --quiet --}
data=$1 out=${2:-outputs/paper_figures} theirs=${3:-}
with=$data/li2018-resnet56/surface-2d-51x51.h5
line=$data/li2018-resnet56/curve-1d-51.h5
without=$data/li2018-resnet56-noshort/surface-2d-201x201.h5
for file in "$with" "$line" "$without"; do
    if [ ! -f "$file" ]; then
        echo "$file is missing: name the folder that holds it first, as in $0 DATA" >&2
        exit 1
    fi
done
command -v ffmpeg >/dev/null || {
    echo "ffmpeg is missing: the four figures are put on one sheet with it" >&2
    exit 1
}
mkdir -p "$out"
draw() {
    file=$1 title=$2
    shift 2
    # shellcheck disable=SC2086 # a command with its arguments
    $lossreel -q render "$@" --title "$title" --no-caption --size 760x600 --scale 1.25 --out "$out/$file.png" >/dev/null
}
space="--as surface --camera still --azimuth -112 --elevation 24 --relief 1.6"
# shellcheck disable=SC2086 # options
draw fig1a "Fig. 1a: without skip connections" --grid-file "$without" $space --panel-title ResNet-56
# shellcheck disable=SC2086
draw fig1b "Fig. 1b: with skip connections" --grid-file "$with" $space --panel-title ResNet-56
draw resnet56-contour "Contours, levels as in the paper" --grid-file "$with" --values 0.1,10,0.5 --panel-title ResNet-56
draw resnet56-curve "Along a line" --curve-file "$line" --as curve --twin --panel-title ResNet-56

# ffmpeg writes nothing but errors, and no picture over another that it reads.
sheet() {
    ffmpeg -v error -y "$@"
}
names="fig1a fig1b resnet56-contour resnet56-curve"
sheet -i "$out/fig1a.png" -i "$out/fig1b.png" -i "$out/resnet56-contour.png" -i "$out/resnet56-curve.png" \
    -filter_complex "[0][1]hstack[a];[2][3]hstack[b];[a][b]vstack" -frames:v 1 -q:v 3 "$out/ours.jpg"
echo "$out/ours.jpg"
[ -n "$theirs" ] || exit 0
# One row a figure: theirs, as large as it has room, then ours.
rows=""
for name in $names; do
    row=$out/row-$name.png
    found=""
    for file in "$theirs/$name"*; do
        [ -f "$file" ] && found=$file
    done
    if [ -n "$found" ]; then
        sheet -i "$found" -i "$out/$name.png" -filter_complex \
            "[0]scale=760:600:force_original_aspect_ratio=decrease:flags=lanczos,pad=760:600:-1:-1:white[t];[t][1]hstack" \
            -frames:v 1 "$row"
    else
        sheet -i "$out/$name.png" -vf "pad=1520:600:760:0:white" -frames:v 1 "$row"
    fi
    rows="$rows -i $row"
done
# shellcheck disable=SC2086 # four files
sheet $rows -filter_complex "[0][1][2][3]vstack=4" -frames:v 1 -q:v 3 "$out/beside_theirs.jpg"
for name in $names; do rm "$out/row-$name.png"; done
echo "$out/beside_theirs.jpg"
