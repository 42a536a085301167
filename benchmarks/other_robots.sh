#!/usr/bin/env bash
# From model files of other projects to training runs: benchmarks/other_robots.sh OUT
#
# Downloads wheels (unpacked, not installed: their pins exclude ours) that contain models of robots, and for each model
# derives a robot.toml, checks it and trains 10 iterations. OUT is created; a table is printed at the end. About
# 10 minutes on two cores. PYTHON chooses the interpreter that has mtrack.
set -euo pipefail
out=$1
python=${PYTHON:-python}
mkdir -p "$out"
cd "$out"

for wheel in holosoma holosoma-retargeting mjlab gymnasium; do
  "$python" -m pip download --quiet --no-deps --dest wheels "$wheel"
done
for wheel in wheels/*.whl; do
  "$python" -m zipfile -e "$wheel" models
done

retargeting=models/holosoma_retargeting/models
mjlab=models/mjlab/asset_zoo/robots/unitree_g1/xmls
# six joints fewer: without their joints the wrists are welded
grep -v 'joint name="[a-z]*_wrist_' "$mjlab/g1.xml" > "$mjlab/g1_23.xml"

declare -A robots=(
  [t1_29]=models/holosoma/data/robots/t1/t1_29dof.xml
  [t1_23]=$retargeting/t1/t1_23dof.xml
  [h1_19]=$retargeting/h1/h1_19dof.urdf
  [g1_29]=$mjlab/g1.xml
  [g1_23]=$mjlab/g1_23.xml
  [humanoid]=models/gymnasium/envs/mujoco/assets/humanoid.xml
)
for name in t1_29 t1_23 h1_19 g1_29 g1_23 humanoid; do
  start=$SECONDS
  rm -rf "$name"
  if "$python" -m mtrack new-robot "${robots[$name]}" -o "$name" > "$name.txt" 2>&1 &&
    "$python" -m mtrack doctor --robot "$name/robot.toml" >> "$name.txt" 2>&1 &&
    "$python" -m mtrack run "$name"/*_tracking.toml --run-dir "$name/run" --set num_envs=64 \
      --set phases.train.frames=5120 --set phases.adapt.enabled=false --set phases.finetune.enabled=false \
      >> "$name.txt" 2>&1; then
    result="trained 10 iterations"
  else
    result="failed: $name.txt"
  fi
  echo "$name  ${robots[$name]}  $result  $((SECONDS - start)) s" | tee -a summary.txt
done
