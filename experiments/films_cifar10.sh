#!/bin/sh
# Films of real runs on CIFAR-10: ResNet-20 with and without skip connections side by side, as contours
# and in space, and a race of SGD, SGD with momentum and Adam. It takes about ten minutes on two
# cores.
#
#   experiments/films_cifar10.sh [--data-dir DIR] [--set KEY=VALUE ...]
#
# The results are in outputs/films_cifar10 and outputs/race_cifar10. Arguments are passed to each
# `lossreel train`. Finished trainings and cells are kept: after an interruption the same command
# continues. FILMS_FORCE=1 starts from the beginning, LOSSREEL names the command to run, FILMS_GRID and
# FILMS_SAMPLES set the size of the surfaces' grids and the number of images per cell.
set -eu
here=$(dirname "$0")
out=outputs/films_cifar10
lossreel=${LOSSREEL:-cargo run --release --quiet --}
force=${FILMS_FORCE:+--force}
grid=${FILMS_GRID:-41x41}
samples=${FILMS_SAMPLES:-500}

. "$here/resume.sh"

train with_skips "$here/skips_cifar10.toml" "$@"
train without_skips "$here/skips_cifar10.toml" --set model.shortcut=none "$@"
for name in with_skips without_skips; do
    $lossreel plane "$out/$name"
    $lossreel surface "$out/$name" --grid "$grid" --samples "$samples" $force
done

# Draws both runs, with more arguments.
film() {
    $lossreel render "$out/with_skips" "$out/without_skips" \
        --panel-title "With skip connections" --panel-title "Without skip connections" "$@"
}
title="ResNet-20 on CIFAR-10, with and without skip connections"
film --title "$title" --strip loss,accuracy,lr,sharpness \
    --out "$out/contour.mp4" --poster
film --title "$title" --strip loss,accuracy --size 960x540 --scale 1.2 \
    --out "$out/contour.gif" --max-size 8MB
film --title "$title" --as surface --strip loss,accuracy,sharpness \
    --out "$out/surface.mp4" --poster
film --title "$title" --as surface --strip none --size 960x540 --scale 1.2 --fps 15 \
    --out "$out/surface.gif" --max-size 8MB

RACE_FORCE=${FILMS_FORCE:-} LOSSREEL=$lossreel "$here/race.sh" cifar10 "$@"
for file in "$out"/* outputs/race_cifar10/*; do
    [ ! -f "$file" ] || ls -l "$file"
done
