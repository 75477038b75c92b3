#!/bin/sh
# Films of real runs on CIFAR-10, about ten minutes on two cores: ResNet-20 with and without skip
# connections side by side, as contours and in space, and a race of SGD, momentum and Adam.
#
#   experiments/films_cifar10.sh [--data-dir DIR] [--set KEY=VALUE ...]
#
# Everything lands in outputs/films_cifar10 and outputs/race_cifar10; arguments go to each
# `lossreel train`. What is done is not done again: interrupted, the same command goes on.
# FILMS_FORCE=1 starts over; LOSSREEL names the command; FILMS_GRID and FILMS_SAMPLES make the surfaces
# finer or coarser.
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
