#!/usr/bin/env bash
# Draws every scene in every theme, as stills (PNG, SVG, PDF), and the films also as GIF and MP4, into
# outputs/gallery/index.html. The page is for looking at before a release; it is not compared byte by
# byte.
#
#   lossreel demo                                   # once: the runs that are drawn
#   experiments/gallery.sh [path of the lossreel command]
#
# A scene is a line of SCENES: a name, whether it is a film or a still, and the arguments of
# `lossreel render`, quoted as a shell reads them. The race is drawn where experiments/race.sh has
# made one, and the paper's own surfaces where LOSSREEL_DATA names a folder that has them.
set -uo pipefail
cd "$(dirname "$0")/.."
lossreel=${1:-target/release/lossreel}
with=outputs/demo/with_shortcuts
without=outputs/demo/without_shortcuts
spirals=outputs/spirals
out=outputs/gallery
mkdir -p "$out"
for run in "$with" "$without"; do
  [ -d "$run/curves/curve" ] || "$lossreel" -q curve "$run" --points 41 --samples 200 >/dev/null
done
if [ ! -d "$spirals/surfaces/pca" ]; then
  "$lossreel" -q train experiments/spirals.toml --out "$spirals" --force >/dev/null
  "$lossreel" -q plane "$spirals" >/dev/null
  "$lossreel" -q surface "$spirals" --grid 41x41 --samples 500 >/dev/null
fi
[ -d "$with/surfaces/pca-snapshots" ] ||
  "$lossreel" -q surface "$with" --stack snapshots --layers 8 --grid 21x21 --samples 200 >/dev/null

SCENES=(
  "contour|film|$with"
  "contour-pair|film|$with $without --panel-title With --panel-title Without"
  "contour-half|film|$with --size 640x360 --scale 1.5"
  "contour-extras|film|$with --hillshade --arrows --inset --strip loss,accuracy,lr,grad-norm"
  "contour-card|film|$with --card 2 --clock snapshot"
  "contour-portrait|still|$with --size 720x1280"
  "contour-small|still|$with $without --size 320x180"
  "contour-long|still|$with --title 'A headline that is longer than a headline should be, to see what becomes of one that no page has room for' --panel-title 'And a title of its own that is rather long as well, longer than any panel is wide, and then some'"
  "heatmap|film|$with --as heatmap --quantity accuracy"
  "heatmap-signed|film|$with --as heatmap --quantity loss-difference --values=-3,3"
  "histograms|film|$with --as histograms"
  "shadow|film|$with --as shadow"
  "boundary|film|$spirals --as boundary"
  "curve|still|$with $without --as curve"
  "curve-twin|still|$with $without --as curve --twin"
  "spectrum|still|$with $without --as spectrum"
  "surface|film|$with --as surface"
  "surface-pair|film|$with $without --as surface"
  "surface-follow|film|$with --as surface --camera follow"
  "surface-portrait|still|$with --as surface --size 720x1280"
  "surface-small|still|$with $without --as surface --size 320x180"
  "moving|film|$with --as moving"
  "moving-space|film|$with --as moving --view space"
)
# A race, where experiments/race.sh has made one, and the paper's own surfaces.
race="outputs/race_digits/joint --as race --panel-title SGD --panel-title Momentum --panel-title Adam"
if [ -d outputs/race_digits/joint ]; then
  SCENES+=(
    "race|film|$race"
    "race-multiples|film|$race --layout multiples --clock wall --goal test_accuracy=0.92"
    "race-portrait|still|$race --size 720x1280"
  )
fi
li=${LOSSREEL_DATA:-../shared/data}
if [ -d "$li/li2018-resnet56" ]; then
  files="--grid-file $li/li2018-resnet56-noshort/surface-2d-201x201.h5"
  files+=" --grid-file $li/li2018-resnet56/surface-2d-51x51.h5"
  files+=" --panel-title 'ResNet-56 without skip connections' --panel-title ResNet-56"
  SCENES+=(
    "paper|film|$files --title 'Skip connections smooth the loss surface' --as surface"
    "paper-contour|still|$files --title 'Skip connections smooth the loss surface'"
  )
fi

failed=0
# Draws $1.png or another file in a theme, with the arguments that follow.
draw() {
  local file=$1 theme=$2
  shift 2
  if ! "$lossreel" -q render "$@" --theme "$theme" --out "$out/$file" >/dev/null; then
    echo "failed: $file" >&2
    failed=$((failed + 1))
  fi
}

{
  echo '<!doctype html><meta charset="utf-8"><title>lossreel: gallery</title>'
  echo '<style>body{font-family:sans-serif;margin:2em;background:#888}h2{margin:1em 0 .3em}'
  echo '.row{display:flex;gap:12px;flex-wrap:wrap}img,video{width:640px;display:block}</style>'
} >"$out/index.html"
for scene in "${SCENES[@]}"; do
  IFS='|' read -r name kind arguments <<<"$scene"
  echo "<h2>$name</h2><code>lossreel render $arguments</code><div class=row>" >>"$out/index.html"
  eval "arguments=($arguments)"
  for theme in light dark print; do
    draw "$name-$theme.png" "$theme" "${arguments[@]}"
    echo "<a href=$name-$theme.png><img src=$name-$theme.png alt='$name, $theme'></a>" >>"$out/index.html"
    echo "$name, $theme"
  done
  draw "$name.svg" light "${arguments[@]}"
  draw "$name.pdf" print "${arguments[@]}"
  echo "<a href=$name.svg><img src=$name.svg alt='$name, SVG'></a><a href=$name.pdf>PDF</a>" >>"$out/index.html"
  if [ "$kind" = film ]; then
    draw "$name.gif" light "${arguments[@]}" --frames 120 --contact-sheet
    draw "$name.mp4" dark "${arguments[@]}" --frames 150
    echo "<img src=$name.gif alt='$name, GIF'><video src=$name.mp4 controls loop muted autoplay></video>" >>"$out/index.html"
  fi
  echo "</div>" >>"$out/index.html"
done
echo "$out/index.html"
exit "$((failed > 0))"
