#!/usr/bin/env bash
# Run another project's own code on policies that mtrack exported: benchmarks/judges.sh FOLDER RUN CLIP
#
# FOLDER is created and contains the exports and holosoma-inference in its own Python environment. Instead of pinocchio,
# a function of the waist joints computes the torso's orientation; WITH_PIN=1 installs it (380 MB) and checks our URDF, too.
# RUN is a run of the recipe g1_tracking_deploy, CLIP one of its motions that the golden trace has: its first, middle or
# last one. Exits with 1 if a target differs by more than 1e-5 rad.
#   PYTHON   mtrack's interpreter (python)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 run=$2 clip=$3
python=${PYTHON:-python}
judge=$folder/holosoma/bin/python

if [ ! -e "$judge" ]; then
    "$python" -m venv "$folder/holosoma"
    "$judge" -m pip install -q numpy onnx onnxruntime scipy pydantic loguru termcolor defusedxml tyro
    "$judge" -m pip install -q --no-deps holosoma-inference==0.1.3
    [ -z "${WITH_PIN:-}" ] || "$judge" -m pip install -q pin==4.1.0
fi
"$python" -m mtrack export "$run" --with-motions -o "$folder/native"
"$python" -m mtrack export "$run" --for holosoma --clip "$clip" -o "$folder/for-holosoma"
PYTHONPATH="$here/../deploy" "$judge" "$here/judge_holosoma.py" "$folder/native" "$folder/for-holosoma"
