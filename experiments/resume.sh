# Included by the scripts beside it, which set $lossreel, $out and $force: defines a function that
# trains into $out/NAME, or continues the training that is there.
train() { # NAME SPEC, then settings
    name=$1
    spec=$2
    shift 2
    if [ -z "$force" ] && [ -f "$out/$name/checkpoint.safetensors" ]; then
        $lossreel train --resume "$out/$name" # does nothing for a run that has ended
    else
        $lossreel train "$spec" --out "$out/$name" --force "$@"
    fi
}
