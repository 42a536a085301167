"""The command line, `python -m mtrack_deploy`: check a policy, run it on a robot, simulate a robot that answers."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtrack_deploy.clips import read_clip
from mtrack_deploy.errors import DeployError
from mtrack_deploy.golden import check_golden_trace
from mtrack_deploy.player import ENDS
from mtrack_deploy.policy import Policy
from mtrack_deploy.running import run_on_mujoco, run_on_unitree
from mtrack_deploy.session import RunInterruptedError, RunPlan, SignalNote

if TYPE_CHECKING:
    from mtrack_deploy.unitree.link import UnitreeLink

BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0, 1 (the robot had to stop), 2 (bad input), 128 + signal."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.function(options)
        return status
    except DeployError as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_INPUT
    except RunInterruptedError as error:
        sys.stderr.write(f"{error}\n")
        return 128 + error.signum
    except KeyboardInterrupt:
        return 130


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _check(options: argparse.Namespace) -> int:
    """Load a policy, replay its golden trace, and print what it needs."""
    policy = Policy.load(options.folder)
    contract = policy.contract
    differences = check_golden_trace(policy)
    differences.require()
    timing, safety, seen = contract.timing, contract.safety, contract.observation
    sensors = sorted({sensor for term in seen.terms for sensor in term.sensors})
    gains = [(joint.stiffness, joint.damping) for joint in contract.robot.joints]
    stiffness, damping = zip(*gains, strict=True)
    say(f"robot          {contract.robot.name}, {len(gains)} joints, {contract.robot.total_mass_kg:.1f} kg")
    say(f"policy         {seen.width} columns to {len(contract.action.joints)} actions, {contract.action.mode}")
    say(f"rates          {1.0 / timing.control_dt:g} actions/s, {1.0 / timing.physics_dt:g} commands/s")
    say(f"sensors        {', '.join(sensors) or 'none'}")
    say(f"estimates      {'position or velocity of the root' if seen.needs_state_estimation else 'none needed'}")
    say(f"look-ahead     {contract.reference.look_ahead_s:g} s")
    say(f"stiffness      {min(stiffness):.1f} to {max(stiffness):.1f} N m/rad")
    say(f"damping        {min(damping):.2f} to {max(damping):.2f} N m s/rad; after a stop {safety.damping_kd:g}")
    say(f"stops at       a tilt of {safety.tilt_limit_rad:g} rad from the reference")
    for motion in contract.motions:
        say(f"clip           {motion.name}, {motion.frames / contract.reference.rate_hz:.1f} s")
    worst = max(differences.observation, differences.action, differences.target)
    say(f"golden trace   {contract.golden_trace.steps} steps reproduced, to {worst:.0%} of the tolerance")
    return 0


def _run(options: argparse.Namespace) -> int:
    """Run clips on a robot."""
    policy = Policy.load(options.folder)
    if options.kp_scale != 1.0 or options.kd_scale != 1.0:
        policy = policy.with_gains(options.kp_scale, options.kd_scale)
        say(
            f"gains changed: stiffness times {options.kp_scale:g}, damping times {options.kd_scale:g}; "
            "the policy was not trained with these"
        )
    clips = [read_clip(policy.folder, policy.contract, name) for name in options.clip]
    if options.robot == "mujoco":
        return run_on_mujoco(policy, RunPlan(clips, move_s=0.0, after_s=options.after_s), options.at_end, say)
    return run_on_unitree(
        policy,
        RunPlan(clips, move_s=options.move_s, hold_s=options.hold_s, after_s=options.after_s),
        _link(options, real_robot=options.real_robot),
        at_end=options.at_end,
        mode_machine=options.mode_machine,
        longest_silence=options.longest_silence,
        asks_first=options.real_robot,
        say=say,
    )


def _simulate(options: argparse.Namespace) -> int:
    """Simulate a robot that answers over DDS, until a signal."""
    contract = Policy.load(options.folder).contract
    link = _link(options)
    from mtrack_deploy.mujoco_robot import SensorNoise  # noqa: PLC0415  optional dependency
    from mtrack_deploy.unitree.simulator import SimulatedG1  # noqa: PLC0415

    noise = SensorNoise.in_training(contract) if options.noise else None
    robot = SimulatedG1(options.folder, contract, link, lowered_after=options.lowered_after, noise=noise, say=say)
    say(f"simulated {contract.robot.name} on '{options.interface}', domain {options.domain}; Ctrl-C ends it")
    with SignalNote() as note:
        try:
            robot.run(note.check, options.seconds)
        finally:
            free = f", pelvis never below {robot.lowest:.2f} m" if math.isfinite(robot.lowest) else ""
            say(f"{robot.pace}; {robot.commands} commands obeyed{free}; pelvis now at {robot.height:.2f} m")
            if robot.lost > 0.1:
                say(f"this computer is too slow or too busy: {robot.lost:.1f} s could not be simulated in time")
            for reason, count in robot.rejected.items():
                say(f"{count} commands rejected: {reason}")
    return 0


def _link(options: argparse.Namespace, *, real_robot: bool = False) -> UnitreeLink:
    try:
        from mtrack_deploy.unitree.link import UnitreeLink  # noqa: PLC0415  optional dependency
    except ImportError as error:
        raise DeployError(f"{error}: python -m pip install './deploy[unitree]' in a checkout of mtrack") from None
    return UnitreeLink(options.interface, domain=options.domain, peers=options.peer, real_robot=real_robot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mtrack_deploy", description="Run policies of `mtrack export`.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = _command(commands, "check", _check, "load a policy, replay its golden trace, print what it needs")
    run = _command(commands, "run", _run, "run a policy on a robot")
    simulate = _command(commands, "simulate", _simulate, "simulate a G1 that speaks Unitree's messages over DDS")
    for command in (check, run, simulate):
        command.add_argument("folder", metavar="DIR", type=Path, help="folder that `mtrack export` has written")
    run.add_argument("--robot", choices=("mujoco", "unitree"), default="mujoco")
    run.add_argument("--clip", metavar="NAME", nargs="+", default=[""], help="clips in order; default: the first one")
    run.add_argument("--at-end", choices=ENDS, default="", help="after the last clip; default: as in policy.json")
    run.add_argument("--after", dest="after_s", metavar="S", type=_seconds, default=5.0, help="time there (5)")
    run.add_argument("--kp-scale", metavar="X", type=_scale, default=1.0, help="factor of all stiffnesses")
    run.add_argument("--kd-scale", metavar="X", type=_scale, default=1.0, help="factor of all dampings")
    dds = run.add_argument_group("Unitree")
    dds.add_argument("--move", dest="move_s", metavar="S", type=_move, default=3.0, help="time to the first pose (3)")
    dds.add_argument("--hold", dest="hold_s", metavar="S", type=_seconds, default=1.0, help="time in that pose (1)")
    dds.add_argument("--mode-machine", metavar="N", type=int, default=5, help="type of the robot that may answer (5)")
    dds.add_argument(
        "--longest-silence", metavar="S", type=_silence, default=0.05, help="damp after this time without news (0.05)"
    )
    dds.add_argument(
        "--real-robot",
        action="store_true",
        help="allow an interface other than loopback; you have done the checks in the documentation",
    )
    for group in (dds, simulate):
        group.add_argument("--interface", metavar="NAME", default="lo", help="network interface (lo)")
        group.add_argument("--domain", metavar="N", type=int, default=1, help="DDS domain (1; a real robot has 0)")
        group.add_argument(
            "--peer", metavar="IP", action="append", default=[], help="address; then nothing is multicast"
        )
    simulate.add_argument("--seconds", metavar="S", type=_seconds, default=math.inf, help="end after this time")
    simulate.add_argument(
        "--lowered-after",
        metavar="S",
        type=_seconds,
        default=3.0,
        help="time from the first command until the gantry lowers the robot: as --move (3)",
    )
    simulate.add_argument("--noise", action="store_true", help="sensor noise as in training")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, function: object, text: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(function=function)
    return command


def _seconds(text: str) -> float:
    return _number(text, 0.0, math.inf)


def _move(text: str) -> float:
    return _number(text, 1.0, 60.0)


def _silence(text: str) -> float:
    return _number(text, 0.01, 1.0)


def _scale(text: str) -> float:
    return _number(text, 0.1, 2.0)


def _number(text: str, lowest: float, highest: float) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not lowest <= value <= highest:
        raise argparse.ArgumentTypeError(f"{text} must be from {lowest:g} to {highest:g}")
    return value
