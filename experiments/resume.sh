# For the scripts beside it, which set $lossreel, $out and $force: trains into $out/NAME, or goes on with
# what is there.
train() { # NAME SPEC, then settings
    name=$1
    spec=$2
    shift 2
    if [ -z "$force" ] && [ -f "$out/$name/checkpoint.safetensors" ]; then
        $lossreel train --resume "$out/$name" # nothing, for a run that has ended
    else
        $lossreel train "$spec" --out "$out/$name" --force "$@"
    fi
}
