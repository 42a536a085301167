#!/usr/bin/env bash
# Compare the environment steps of mtrack and of mjlab's motion tracking on a CPU: benchmarks/mjlab_cpu.sh FOLDER
#
# FOLDER is created and contains mjlab in its own Python environment (2.3 GB), its compiled kernels, the motion that both
# play, and the results. Installing takes minutes, once; a measurement takes five. Needs Linux and an installed mtrack.
#   PYTHON   mtrack's interpreter (python)           OUT      the record (benchmarks/results/mjlab_cpu.json)
#   ENVS     numbers of environments (64 256)        CPUS     sets of CPUs in the notation of taskset (0 0-1)
#   ROUNDS   rounds, in which the sides alternate (1)  RECIPES  recipes of mtrack; mjlab_cpu is in this folder
# PIP_EXTRA_INDEX_URL set to the index of PyTorch's CPU builds avoids its CUDA libraries (several GB).
source "$(dirname "$0")/mjlab_setup.sh" "$1"
out=${OUT:-$here/results/mjlab_cpu.json}
recipes=${RECIPES:-g1_tracking_quick g1_tracking_teacher g1_tracking_single_phase mjlab_cpu}

# side NAME RESULT ENVS CPUS: measure one side at one size
side() {
    if [ "$1" = mjlab ]; then
        taskset -c "$4" "${theirs[@]}" bench "$folder/motion.npz" --envs "$3" >"$2" 2>"$folder/log.txt"
        return
    fi
    local recipe=$1 phase=train
    [ "$1" != g1_tracking_single_phase ] || phase=ppo
    [ ! -e "$here/$1.toml" ] || recipe=$here/$1.toml
    # five rounds of six control steps; training is not compared, so it is as short as possible
    taskset -c "$4" "$python" -m mtrack bench "$recipe" --envs "$3" -o "$2" --set motions.builtin.enabled=false \
        --set motions.walk.use=motion_files --set "motions.walk.path=$folder/clips" \
        --set "phases.$phase.train_every=6" --set "phases.$phase.epochs=1" >"$folder/log.txt"
}

rm -rf "$folder/results"
for round in $(seq "${ROUNDS:-1}"); do
    for cpus in ${CPUS:-0 0-1}; do
        for envs in ${ENVS:-64 256}; do
            for name in mjlab $recipes; do
                printf '%4ss round %s, CPUs %s, %s environments: %s\n' "$SECONDS" "$round" "$cpus" "$envs" "$name"
                mkdir -p "$folder/results/$name"
                side "$name" "$folder/results/$name/${round}_${cpus}_$envs.json" "$envs" "$cpus"
            done
        done
    done
done
"$python" "$here/mjlab_join.py" "$folder" "$out"
printf '%4ss %s\n' "$SECONDS" "$out"
