#!/usr/bin/env bash
# Make all measurements on a GPU: the conformance checks of the physics, the speed of the full teacher recipe, in total
# and by part, at several numbers of environments, and the GPU memory that it needs.
#
#   benchmarks/gpu.sh [ENVS]...     default 16384 4096; the last size is also measured without torch.compile
#
# Needs an NVIDIA GPU and an environment with the extra: python -m pip install -c constraints.txt -e ".[gpu]"
#   PYTHON   its interpreter (python)        OUT      where results go (benchmarks/results)
#   RECIPE   what to measure (g1_tracking_teacher)        SET   more recipe keys: "backend.deterministic=true ..."
#   CHECK=0  skips the conformance checks                 DEVICE=cpu tests this script without a GPU
#   EACH     seconds that one measurement may take (170)  LIMIT    seconds that everything may take (540)
# If a part fails or takes too long, the script reports it and continues with the next one. Results are written at once.
# The first run compiles the kernels, which takes minutes; they are stored in ~/.cache/warp or WARP_CACHE_PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python} out=${OUT:-benchmarks/results} recipe=${RECIPE:-g1_tracking_teacher}
device=${DEVICE:-cuda}
if [ "$device" = cpu ]; then each=${EACH:-900} limit=${LIMIT:-3600}; else each=${EACH:-170} limit=${LIMIT:-540}; fi
envs=("$@")
[ ${#envs[@]} -gt 0 ] || envs=(16384 4096)
export OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1
mkdir -p "$out"

step() {
    printf '\n== %s (%ss)\n' "$*" "$SECONDS"
}

# within SECONDS COMMAND...: run a command for at most that time, and at most until 10 s before the limit
within() {
    local seconds=$1 left=$((limit - SECONDS - 10)) status=0
    shift
    [ "$seconds" -le "$left" ] || seconds=$left
    if [ "$seconds" -lt 20 ]; then
        echo "skipped: only $left of $limit s remain (LIMIT)"
        return 1
    fi
    timeout --kill-after=5 "$seconds" "$@" || status=$?
    case $status in 124 | 137) echo "stopped after $seconds s" ;; esac
    return "$status"
}

step machine
within 60 "$python" - "$device" <<'END'
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
# watch FILE: log the state of the GPU, twice per second
watch() { :; }
if [ "$device" != cpu ]; then
    if timeout 20 nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv; then
        watch() {
            exec nvidia-smi --query-gpu=memory.used,utilization.gpu,power.draw,clocks.sm --format=csv,nounits -lms 500 >"$1"
        }
    else
        echo "nvidia-smi does not work here: the GPU's memory and use are not measured"
    fi
fi

if [ "${CHECK:-1}" != 0 ]; then
    step conformance
    within "$((each * 2 / 3))" "$python" - "$device" <<'END' || echo "CONFORMANCE FAILED; continuing with the measurements"
import logging
import sys
from mtrack_testing import BrokenPromise, check_agreement, check_backend
from mtrack_mujoco.backend import MujocoBackend
from mtrack_warp.backend import WarpBackend
logging.basicConfig(format="%(message)s", level=logging.INFO)  # shows when it compiles kernels
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

# measure COUNT NAME [KEY=VALUE]...: measure one size, into bench_gpu_NAME.json
measure() {
    local count=$1 result=$out/bench_gpu_$2.json memory=$out/bench_gpu_$2.memory.csv sampler key keys=()
    step "$recipe, $count environments ${*:3}"
    : >"$memory"
    watch "$memory" &
    sampler=$!
    for key in ${SET:-} "${@:3}"; do keys+=(--set "$key"); done
    rm -f "$result" # so that the summary does not show an earlier measurement
    within "$each" "$python" -m mtrack bench "$recipe" --set "device=$device" --set backend.use=mujoco_warp \
        --envs "$count" "${keys[@]}" -o "$result" || echo "$count environments: FAILED"
    kill "$sampler" 2>/dev/null || true
    wait "$sampler" 2>/dev/null || true
    awk -F, 'NR > 1 && $1 + 0 > most { most = $1 + 0 } NR > 1 { busy += $2; count++ }
        END { if (count) printf "GPU memory at most %d MiB, busy %.0f %%\n", most, busy / count }' "$memory"
}
for count in "${envs[@]}"; do
    measure "$count" "$count"
done
measure "${envs[-1]}" "${envs[-1]}_plain" phases.train.compile=false # to see what torch.compile gains

step summary
"$python" - "$out" "${envs[@]}" <<'END'
import json
import sys
from pathlib import Path
for name in (*sys.argv[2:], f"{sys.argv[-1]}_plain"):
    file = Path(sys.argv[1]) / f"bench_gpu_{name}.json"
    if file.exists():
        point = json.loads(file.read_text())["points"][0]
        names = ("physics_steps_per_s", "env_steps_per_s", "train_frames_per_s", "rollout_s", "update_s")
        how = "without torch.compile" if name.endswith("plain") else ""
        print(f"{point['num_envs']:>7,} environments {how}", *(f"{key} {point[key] or 0:,.1f}" for key in names), sep="  ")
END
