#!/usr/bin/env bash
# Compare training: mjlab's G1 tracking task with its own PPO, and g1_tracking_single_phase: benchmarks/mjlab_train.sh FOLDER
#
# FOLDER as in mjlab_cpu.sh, which explains it; both use the same installation and motion. Every curve is a file in
# FOLDER/curves that is kept once it is complete: start the script again to continue, remove a file to repeat it.
#   PYTHON   mtrack's interpreter (python)          OUT    the record (benchmarks/results/mjlab_train.json)
#   ENVS     number of environments (64)            FRAMES of each training (500000)
#   SEEDS    seeds, one training each (0)           SIDES  what is trained ("mtrack mjlab")
#   INIT_STD first standard deviation of actions on both sides (0.3). Both ship 1.0, which is for thousands of
#            environments: with 64, actions change so much that every step costs more than it earns for a long time.
# CPU seconds are compared, so the machine may do other work: nice -n 19 taskset -c 0 benchmarks/mjlab_train.sh FOLDER
# gives both sides one thread.
source "$(dirname "$0")/mjlab_setup.sh" "$1"
out=${OUT:-$here/results/mjlab_train.json}
mkdir -p "$folder/curves"

for seed in ${SEEDS:-0}; do
    for side in ${SIDES:-mtrack mjlab}; do
        curve=$folder/curves/${side}_$seed.jsonl
        if grep -q complete "$curve" 2>/dev/null; then continue; fi
        printf '%4ss seed %s: %s\n' "$SECONDS" "$seed" "$side"
        options=(--envs "${ENVS:-64}" --frames "${FRAMES:-500000}" --seed "$seed" --init-std "${INIT_STD:-0.3}")
        if [ "$side" = mjlab ]; then
            "${theirs[@]}" train "$folder/motion.npz" "$curve" "${options[@]}" 2>"$folder/log.txt"
        else
            "$python" "$here/mtrack_train.py" "$folder/clips" "$curve" "${options[@]}" 2>"$folder/log.txt"
        fi
    done
done
"$python" "$here/mjlab_train_join.py" "$folder/curves" "$out"
printf '%4ss %s\n' "$SECONDS" "$out"
