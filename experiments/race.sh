#!/bin/sh
# A race of optimizers from one start: trains plain SGD, SGD with momentum and Adam, finds their joint
# plane, evaluates the loss over it and makes the films.
#
#   experiments/race.sh digits                   # embedded data, well under a minute
#   experiments/race.sh cifar10 [--data-dir DIR] [--set KEY=VALUE ...]  # some minutes
#
# The results are in outputs/race_SET. Finished trainings and cells are kept: after an interruption the
# same command continues. RACE_FORCE=1 starts from the beginning, LOSSREEL names the command to run.
set -eu
set_name=${1:-digits}
[ $# -gt 0 ] && shift
out=outputs/race_$set_name
spec=$(dirname "$0")/race_$set_name.toml
lossreel=${LOSSREEL:-cargo run --release --quiet --}
force=${RACE_FORCE:+--force}

. "$(dirname "$0")/resume.sh"

case $set_name in
digits) sgd=0.1 momentum=0.02 adam=0.002 goal=0.92 grid=61x61 samples=500 ;;
*) sgd=0.1 momentum=0.02 adam=0.002 goal=0.4 grid=31x31 samples=300 ;;
esac
train sgd "$spec" --set optim.momentum=0 --set optim.lr=$sgd "$@"
train momentum "$spec" --set optim.momentum=0.9 --set optim.lr=$momentum "$@"
train adam "$spec" --set optim.rule=adam --set optim.lr=$adam "$@"

$lossreel plane "$out/sgd" "$out/momentum" "$out/adam" --out "$out/joint" --origin mean
$lossreel surface "$out/joint" --grid $grid --samples $samples --buffers-of momentum $force
names="--panel-title SGD --panel-title Momentum --panel-title Adam"
film() { # the options of a file, which is the last
    $lossreel render "$out/joint" --as race $names --goal test_accuracy=$goal "$@"
}
film --poster --out "$out/race.mp4"
film --size 960x540 --max-size 8MB --out "$out/race.gif"
$lossreel render "$out/joint" --as race $names --layout multiples --clock wall \
    --goal train_loss --out "$out/race_wall.mp4"
