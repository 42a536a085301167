#!/usr/bin/env bash
# The whole measurement on a GPU: does physics there keep its promises, how fast is the full teacher recipe at several
# sizes and what is its time spent on, and how much of the GPU's memory does it take.
#
#   benchmarks/gpu.sh [ENVS]...     default 4096 8192 16384; one size at a time fits a short lease
#
# Needs an NVIDIA GPU and an environment with the extra: python -m pip install -c constraints.txt -e ".[gpu]"
#   PYTHON   its interpreter (python)        OUT      where results go (benchmarks/results)
#   RECIPE   what to measure (g1_tracking_teacher)        SET   more recipe keys: "backend.deterministic=true ..."
#   CHECK=0  leaves the conformance suites out            DEVICE=cpu tries the script itself, without a GPU
# The first run compiles the kernels, which takes minutes; they are kept in ~/.cache/warp.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python} out=${OUT:-benchmarks/results} recipe=${RECIPE:-g1_tracking_teacher}
device=${DEVICE:-cuda}
envs=("$@")
[ ${#envs[@]} -gt 0 ] || envs=(4096 8192 16384)
export OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1
mkdir -p "$out"

step() {
    printf '\n== %s (%ss)\n' "$*" "$SECONDS"
}

step machine
"$python" - "$device" <<'END'
import sys
import torch
try:
    import mujoco_warp, warp
except ModuleNotFoundError as error:
    sys.exit(f"{error}: python -m pip install -c constraints.txt -e '.[gpu]'")
if sys.argv[1] != "cpu" and not torch.cuda.is_available():
    sys.exit(f"torch {torch.__version__} (CUDA {torch.version.cuda}) sees no GPU here")
warp.config.log_level = warp.LOG_WARNING
warp.init()
print("torch", torch.__version__, "CUDA", torch.version.cuda, "warp", warp.__version__, end=" ")
print("mujoco_warp", mujoco_warp.__version__, "loops inside graphs:", warp.is_conditional_graph_supported())
END
# watch FILE: what the GPU does, twice a second
watch() { :; }
if [ "$device" != cpu ]; then
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv
    watch() {
        exec nvidia-smi --query-gpu=memory.used,utilization.gpu,power.draw,clocks.sm --format=csv,nounits -lms 500 >"$1"
    }
fi

if [ "${CHECK:-1}" != 0 ]; then
    step conformance
    "$python" - "$device" <<'END' || echo "CONFORMANCE FAILED: read on all the same"
import sys
from mtrack_dev.testing import BrokenPromise, check_agreement, check_backend
from mtrack_mujoco.backend import MujocoBackend
from mtrack_warp.backend import WarpBackend
failed = False
for check in (
    lambda: check_agreement(WarpBackend, MujocoBackend, device=sys.argv[1]),
    lambda: check_backend(WarpBackend, device=sys.argv[1], deterministic=True),
):
    try:
        print(check(), flush=True)
    except BrokenPromise as broken:
        print(broken, flush=True)
        failed = True
raise SystemExit(failed)
END
fi

# measure COUNT NAME [WISH]...: one size, into bench_gpu_NAME.json
measure() {
    local count=$1 result=$out/bench_gpu_$2.json memory=$out/bench_gpu_$2.memory.csv sampler wish wishes=()
    step "$recipe, $count environments ${*:3}"
    : >"$memory"
    watch "$memory" &
    sampler=$!
    for wish in ${SET:-} "${@:3}"; do wishes+=(--set "$wish"); done
    "$python" -m mtrack bench "$recipe" --set "device=$device" --set backend.use=mujoco_warp --envs "$count" \
        "${wishes[@]}" -o "$result" || echo "$count environments: FAILED"
    kill "$sampler" 2>/dev/null || true
    wait "$sampler" 2>/dev/null || true
    awk -F, 'NR > 1 && $1 + 0 > most { most = $1 + 0 } NR > 1 { busy += $2; count++ }
        END { if (count) printf "GPU memory at most %d MiB, busy %.0f %%\n", most, busy / count }' "$memory"
}
for count in "${envs[@]}"; do
    measure "$count" "$count"
done
measure "${envs[0]}" "${envs[0]}_plain" phases.train.compile=false # what torch.compile gains

step summary
"$python" - "$out" "${envs[@]}" <<'END'
import json
import sys
from pathlib import Path
for name in (*sys.argv[2:], f"{sys.argv[2]}_plain"):
    file = Path(sys.argv[1]) / f"bench_gpu_{name}.json"
    if file.exists():
        point = json.loads(file.read_text())["points"][0]
        names = ("physics_steps_per_s", "env_steps_per_s", "train_frames_per_s", "rollout_s", "update_s")
        how = "without torch.compile" if name.endswith("plain") else ""
        print(f"{point['num_envs']:>7,} environments {how}", *(f"{key} {point[key] or 0:,.1f}" for key in names), sep="  ")
END
