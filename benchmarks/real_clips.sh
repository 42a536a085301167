#!/usr/bin/env bash
# Train on three real clips at once and score the result: benchmarks/real_clips.sh CLIPS OUT
#
# CLIPS is a directory with squat_level1.pkl, walk_level1.pkl and kick_level1.pkl (the ASAP project's files for the
# G1); OUT is created and contains the clips as motion files, the run, its scores and its pictures. It takes about
# an hour on two cores. The wrists, which the files lack, stay at their default.
set -euo pipefail
clips=$1
out=$2
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$out"
for clip in squat walk kick; do
  mtrack motions import "$clips/${clip}_level1.pkl" --out "$out/clips" --fill-missing --overwrite
done
mtrack run "$here/real_clips.toml" --set "motions.real.path=$(cd "$out" && pwd)/clips" --run-dir "$out/run"
for actor in teacher student; do
  mtrack eval "$out/run" --actor "$actor" --rollouts 8 --strip
done
python "$here/record.py" "$out/run" "$out/learning_real_clips.json" --actor teacher --actor student
