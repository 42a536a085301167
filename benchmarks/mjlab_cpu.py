"""Measure how fast the motion-tracking task of mjlab steps on a CPU; run it in the Python environment of mjlab.

    python benchmarks/mjlab_cpu.py motion CLIP.npz MOTION.npz              convert a motion file of mtrack
    python benchmarks/mjlab_cpu.py bench MOTION.npz --envs 64              measure, print JSON
    python benchmarks/mjlab_cpu.py train MOTION.npz CURVE.jsonl --envs 64  train with its PPO, write a learning curve

mjlab is made for GPUs: on a CPU its physics (mujoco_warp) uses one thread, one environment after another. Actions are
drawn like those of its untrained policy. Engine calls are recorded in the loop and then replayed without it, so that
both are timed at the same states.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch
import warp
from mjlab.envs import ManagerBasedRlEnv
from mjlab.rl import MjlabOnPolicyRunner, RslRlVecEnvWrapper
from mjlab.scene import Scene
from mjlab.tasks.registry import load_env_cfg, load_rl_cfg, load_runner_cls
from model_facts import model_facts
from training_curve import CurveFile, cpu_seconds

TASK = "Mjlab-Tracking-Flat-Unitree-G1"
FPS = 50.0  # rate of its control steps; it plays one frame per step
VERSIONS = ("mjlab", "rsl-rl-lib", "mujoco", "mujoco-warp", "warp-lang", "torch", "numpy")


def write_motion(clip: Path, out: Path) -> None:
    """Write joints and bodies of a clip in the format of mjlab, with the order and kinematics of its robot."""
    scene = Scene(load_env_cfg(TASK).scene, device="cpu")
    model, robot = scene.compile(), scene["robot"]
    data = mujoco.MjData(model)
    bodies = [model.body(f"robot/{name}").id for name in robot.body_names]
    joints = [model.joint(f"robot/{name}") for name in robot.joint_names]
    addresses, dofs = ([int(of(joint)[0]) for joint in joints] for of in (lambda j: j.qposadr, lambda j: j.dofadr))
    with np.load(clip) as found:
        if float(found["fps"]) != FPS:
            raise SystemExit(f"{clip}: {float(found['fps']):g} frames/s, mjlab plays {FPS:g}")
        names = [str(name) for name in found["joint_names"]]
        qpos = np.tile(model.qpos0, (len(found["joint_pos"]), 1))
        qpos[:, :3], qpos[:, 3:7] = found["root_pos"], found["root_quat_wxyz"]
        qpos[:, addresses] = found["joint_pos"][:, [names.index(name) for name in robot.joint_names]]
    frames: dict[str, list[Any]] = {name: [] for name in ("pos", "quat", "lin_vel", "ang_vel", "qvel")}
    velocity = np.zeros(6)
    for frame, now in enumerate(qpos):
        before, after = max(frame - 1, 0), min(frame + 1, len(qpos) - 1)
        data.qpos[:] = now
        mujoco.mj_differentiatePos(model, data.qvel, (after - before) / FPS, qpos[before], qpos[after])
        mujoco.mj_forward(model, data)
        moved = []
        for body in bodies:
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, velocity, 0)  # world axes
            moved.append(velocity.copy())
        frames["pos"].append(data.xpos[bodies].copy())
        frames["quat"].append(data.xquat[bodies].copy())
        frames["ang_vel"].append(np.array(moved)[:, :3])
        frames["lin_vel"].append(np.array(moved)[:, 3:])
        frames["qvel"].append(data.qvel.copy())
    arrays = {f"body_{name}_w": np.array(frames[name], np.float32) for name in ("pos", "quat", "lin_vel", "ang_vel")}
    joint_vel = np.array(frames["qvel"], np.float32)[:, dofs]
    np.savez(out, fps=[FPS], joint_pos=qpos[:, addresses].astype(np.float32), joint_vel=joint_vel, **arrays)


class Engine:
    """Records the state before every substep of a simulation, and times substeps and forward passes."""

    def __init__(self, sim: Any) -> None:
        """Wrap the calls of a simulation."""
        self.sim, self.step, self.forward = sim, sim.step, sim.forward
        self.starts: list[list[torch.Tensor]] = []
        self.last = torch.empty(0)
        self.step_s = self.forward_s = 0.0
        sim.step, sim.forward = self._timed_step, self._timed_forward

    def replay(self) -> float:
        """Replay all recorded substeps and return the seconds. Raises RuntimeError if they end in another state."""
        self.sim.step, self.sim.forward = self.step, self.forward
        started = time.perf_counter()
        for before in self.starts:
            for own, then in zip(self._state(), before, strict=True):
                own.copy_(then)
            self.sim.step()
        elapsed = time.perf_counter() - started
        if not torch.equal(self.last, self._state()[0]):
            raise RuntimeError("the replayed substeps led to a different state, so the measurement is invalid")
        return elapsed

    def _state(self) -> list[torch.Tensor]:
        data = self.sim.data
        return [getattr(data, name)[:] for name in ("qpos", "qvel", "qacc_warmstart", "ctrl", "xfrc_applied")]

    def _timed_step(self) -> None:
        self.starts.append([own.clone() for own in self._state()])
        self.step_s += seconds(self.step)
        self.last = self._state()[0].clone()  # environments that end are reset after the last substep

    def _timed_forward(self) -> None:
        self.forward_s += seconds(self.forward)


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes [s]."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def make_env(motion: Path, num_envs: int, seed: int) -> ManagerBasedRlEnv:
    """Return the environments of the task, all playing one motion."""
    config = load_env_cfg(TASK)
    config.scene.num_envs, config.seed = num_envs, seed
    config.commands["motion"].motion_file = str(motion)
    return ManagerBasedRlEnv(config, device="cpu")


def train(motion: Path, out: Path, num_envs: int, frames: int, seed: int, init_std: float) -> None:
    """Train with the algorithm of mjlab's runner and write the curve; nothing is logged or saved."""
    processors = len(os.sched_getaffinity(0))
    torch.set_num_threads(processors)
    env = make_env(motion, num_envs, seed)
    config = load_rl_cfg(TASK)
    config.actor.distribution_cfg["init_std"] = init_std
    vec_env = RslRlVecEnvWrapper(env, clip_actions=config.clip_actions)
    runner = (load_runner_cls(TASK) or MjlabOnPolicyRunner)(vec_env, asdict(config), None, "cpu")
    algorithm, steps = runner.alg, config.num_steps_per_env
    # as its training script does: episodes do not all reach their time limit at once
    vec_env.episode_length_buf = torch.randint_like(vec_env.episode_length_buf, high=int(vec_env.max_episode_length))
    terms = [index for index, name in enumerate(env.reward_manager.active_terms) if name.startswith("motion_")]
    about = {"side": "mjlab", "num_envs": num_envs, "seed": seed, "init_std": init_std}
    about |= {"threads": processors, "distributions": versions()}
    curve = CurveFile(out, about)
    observations, lengths = vec_env.get_observations(), torch.zeros(num_envs)
    algorithm.train_mode()
    for _ in range(-(-frames // (steps * num_envs))):
        started, reward, ended = cpu_seconds(), 0.0, []
        with torch.inference_mode():
            for _ in range(steps):
                observations, rewards, dones, extras = vec_env.step(algorithm.act(observations))
                algorithm.process_env_step(observations, rewards, dones, extras)
                reward += float(env.reward_manager._step_reward[:, terms].sum(-1).mean()) / steps
                lengths += 1.0
                ended += lengths[dones > 0].tolist()
                lengths[dones > 0] = 0.0
            collected = cpu_seconds()
            algorithm.compute_returns(observations)
        algorithm.update()
        length = sum(ended) / len(ended) if ended else None
        curve.add(steps * num_envs, collected - started, cpu_seconds() - collected, reward, length)
    curve.finish()


def versions() -> dict[str, str]:
    """Return the versions of what is measured."""
    return {name: metadata.version(name) for name in VERSIONS}


def bench(motion: Path, num_envs: int, steps: int, warm_up: int) -> dict[str, Any]:
    """Measure one number of environments."""
    processors = len(os.sched_getaffinity(0))
    torch.set_num_threads(processors)
    began = time.perf_counter()
    env = make_env(motion, num_envs, seed=0)
    env.reset()
    built = time.perf_counter() - began
    std = float(load_rl_cfg(TASK).actor.distribution_cfg["init_std"])
    actions = std * torch.randn(warm_up + steps, num_envs, env.action_manager.total_action_dim)
    first = seconds(lambda: env.step(actions[0]))
    for action in actions[1:warm_up]:
        env.step(action)
    engine = Engine(env.sim)
    ended, used = 0, time.process_time()
    started = time.perf_counter()
    for action in actions[warm_up:]:
        *_, terminated, truncated, _ = env.step(action)
        ended += int((terminated | truncated).sum())
    loop = time.perf_counter() - started
    used = time.process_time() - used
    physics = engine.replay()
    return {
        "task": TASK,
        "num_envs": num_envs,
        "processors": processors,
        "steps": steps,
        "env_steps_per_s": num_envs * steps / loop,
        "physics_steps_per_s": num_envs * steps / physics,
        "env_ratio": physics / loop,
        "forward_ms": 1000.0 * engine.forward_s / steps,
        "rest_ms": 1000.0 * (loop - engine.step_s - engine.forward_s) / steps,
        "processors_busy": used / loop,
        "episodes_ended_per_step": ended / (num_envs * steps),
        "build_s": built,
        "first_step_s": first,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "facts": facts(env),
        "distributions": versions(),
    }


def facts(env: ManagerBasedRlEnv) -> dict[str, Any]:
    """Return what a step of the task consists of."""
    groups = env.observation_manager.group_obs_dim
    return {
        "decimation": env.cfg.decimation,
        **model_facts(env.sim.mj_model),
        "observations": {name: width[0] for name, width in groups.items()},
        "actions": env.action_manager.total_action_dim,
        "rewards": len(env.reward_manager.active_terms),
        "terminations": len(env.termination_manager.active_terms),
        "randomizations": sorted(env.cfg.events),
    }


def main() -> None:
    """Convert a motion, or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    convert = commands.add_parser("motion")
    convert.add_argument("clip", type=Path)
    convert.add_argument("out", type=Path)
    measure = commands.add_parser("bench")
    measure.add_argument("motion", type=Path)
    measure.add_argument("--envs", type=int, default=64)
    measure.add_argument("--steps", type=int, default=20)
    measure.add_argument("--warm-up", type=int, default=3)
    learn = commands.add_parser("train")
    learn.add_argument("motion", type=Path)
    learn.add_argument("out", type=Path)
    learn.add_argument("--envs", type=int, default=64)
    learn.add_argument("--frames", type=int, default=500_000)
    learn.add_argument("--seed", type=int, default=0)
    learn.add_argument("--init-std", type=float, default=1.0)
    arguments = parser.parse_args()
    warp.config.quiet = True
    if arguments.command == "train":
        with redirect_stdout(sys.stderr):
            sizes = arguments.envs, arguments.frames, arguments.seed, arguments.init_std
            train(arguments.motion, arguments.out, *sizes)
        return
    with redirect_stdout(sys.stderr), torch.no_grad():  # mjlab prints tables
        if arguments.command == "motion":
            write_motion(arguments.clip, arguments.out)
            return
        found = bench(arguments.motion, arguments.envs, arguments.steps, arguments.warm_up)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
