#!/usr/bin/env bash
# Compare uniform with failure-aware starts on clips of very different lengths: benchmarks/sampling.sh OUT [SEED...]
#
# OUT is created and contains the clips, a run and its scores for each kind of sampling and seed (default: 0 1 2). A run
# takes about ten minutes on two cores.
set -euo pipefail
out=$1
seeds=("${@:2}")
[ ${#seeds[@]} -gt 0 ] || seeds=(0 1 2)
here=$(cd "$(dirname "$0")" && pwd)

make() { mtrack motions make --out "$out/clips" --overwrite "$@"; }
make --kind stand --duration 60
make --kind sway --count 10
make --kind squat --count 10
make --kind reach --count 10
make --kind step_in_place
make --kind kick --count 1
make --kind walk --duration 6

for seed in "${seeds[@]}"; do
  for sampling in uniform failure_aware; do
    run=$out/${sampling}_$seed
    mtrack run "$here/sampling.toml" --seed "$seed" --run-dir "$run" \
      --set "motions.mix.path=$(cd "$out" && pwd)/clips" --set "command.sampling=$sampling"
  done
done
python "$here/sampling_join.py" "$out" "$out/sampling.json"
