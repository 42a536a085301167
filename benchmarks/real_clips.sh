#!/usr/bin/env bash
# Learn three real clips at once and score what was learnt: benchmarks/real_clips.sh CLIPS OUT
#
# CLIPS is a directory with squat_level1.pkl, walk_level1.pkl and kick_level1.pkl (the ASAP project's files for the
# G1); OUT is made, and holds the clips as motion files, the run, its scores and its pictures. About an hour on two
# cores. The wrists, which the files lack, are held at their default.
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
