#!/bin/sh
# The pictures of the README's tours, out of a lecture: skip connections, width, the race.
#
# A folder that is named is seen from the repository's root.
#
#   lossreel lecture skip_connections width race --out outputs/lecture
#   experiments/readme_pictures.sh [outputs/lecture]
set -eu
cd "$(dirname "$0")/.."
lecture=${1:-outputs/lecture}
copy() {
    if [ ! -f "$lecture/$1" ]; then
        echo "$lecture/$1 is missing: lossreel lecture ${1%%/*} --out $lecture" >&2
        exit 1
    fi
    cp "$lecture/$1" "assets/readme/$2"
    echo "assets/readme/$2"
}
copy skip_connections/surfaces.png skip_connections.png
copy width/width.png width.png
copy race/race.png race.png
