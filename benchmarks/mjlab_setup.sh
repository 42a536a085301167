#!/usr/bin/env bash
# Install mjlab into FOLDER, convert the motion that both sides play and compile mjlab's kernels; each only once.
# mjlab_cpu.sh and mjlab_train.sh source this file, with FOLDER as their first argument.
set -Eeuo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python}
# mjlab must not import from the PYTHONPATH of mtrack
theirs=(env -u PYTHONPATH "$folder/venv/bin/python" "$here/mjlab_cpu.py")
export OMP_WAIT_POLICY=PASSIVE WARP_CACHE_PATH=$folder/kernels
trap 'echo "failed; the last messages are in $folder/log.txt" >&2' ERR

if [ ! -e "$folder/installed.txt" ]; then
    grep -E '^(torch|tensordict|numpy)==' "$here/../constraints.txt" >"$folder/constraints.txt"
    "$python" -m venv "$folder/venv"
    "$folder/venv/bin/python" -m pip install -q -c "$folder/constraints.txt" \
        mjlab==1.6.0 mujoco==3.11.0 mujoco-warp==3.11.0 warp-lang==1.19.0 torch==2.13.0
    "$folder/venv/bin/python" -m pip freeze >"$folder/installed.txt"
fi
if [ ! -e "$folder/motion.npz" ]; then
    "$python" -m mtrack motions make --kind walk --duration 6 --name walk --out "$folder/clips" --overwrite
    "${theirs[@]}" motion "$folder/clips/walk.npz" "$folder/motion.npz" 2>"$folder/log.txt"
fi
if [ ! -s "$folder/compile.json" ]; then  # the first call compiles the kernels
    "${theirs[@]}" bench "$folder/motion.npz" --envs 2 --steps 2 >"$folder/compile.json" 2>"$folder/log.txt"
fi
