"""policy.json: everything that a robot has to know about a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCHEMA, SCHEMA_VERSION = "mtrack-policy", 1
METADATA_KEY = "mtrack_policy"
"""Name of the copy of policy.json in the metadata of the ONNX file."""
FREE = ("policy.sha256", "proof", "provenance")
"""Fields that the copy does not have, or that may differ from it: no target depends on them."""


@dataclass(frozen=True)
class TensorContract:
    """An input or output of the network."""

    name: str
    shape: list[int]
    dtype: str


@dataclass(frozen=True)
class NetworkContract:
    """The ONNX file."""

    file: str
    sha256: str
    opset: int
    inputs: list[TensorContract]
    outputs: list[TensorContract]
    normaliser_baked: bool
    """Whether the network takes observations as they are, in SI units."""


@dataclass(frozen=True)
class JointContract:
    """A joint of the robot and its motor, in SI units."""

    name: str
    motor_index: int
    """Index of its motor in the robot's messages."""
    default_pos: float
    stiffness: float
    damping: float
    armature: float
    effort_limit: float
    velocity_limit: float
    lower: float
    upper: float


@dataclass(frozen=True)
class ChainLink:
    """A body on the way from the root to an anchor: its place in its parent, then the rotation about its joint."""

    body: str
    pos: list[float]
    quat_wxyz: list[float]
    joint: str
    """Empty if the body is fixed to its parent."""
    axis: list[float]
    """In the frame of the body; its origin is on the axis."""


@dataclass(frozen=True)
class RobotContract:
    """The robot that the policy was trained on."""

    name: str
    model_file: str
    """MuJoCo description, for simulations."""
    model_sha256: str
    total_mass_kg: float
    root_height: float
    """Of the default pose [m]."""
    joints: list[JointContract]
    """In the order of all joint vectors."""
    chains: dict[str, list[ChainLink]]
    """By anchor: how its pose follows from the root's and the joints."""


@dataclass(frozen=True)
class TimingContract:
    """Rates."""

    control_dt: float
    """Time between two actions [s]."""
    physics_dt: float
    """Time between two targets [s]: the period of the action filter."""
    decimation: int


@dataclass(frozen=True)
class TermContract:
    """Consecutive columns of the observation."""

    name: str
    kind: str
    """Function that computes them, see `mtrack_deploy.terms`."""
    start: int
    width: int
    columns: list[str]
    """Names of the columns of the present value; a history repeats them."""
    unit: str
    frame: str
    sensors: list[str]
    parameters: dict[str, Any]
    history_offsets: list[int]
    """Control steps back of each copy, e.g. 0, 1, 2; empty for the present value alone."""
    fill_at_reset: str
    """`first`: the history starts with copies of the first value."""
    noise_in_training: float


@dataclass(frozen=True)
class ObservationContract:
    """The input of the network."""

    width: int
    terms: list[TermContract]
    needs_state_estimation: bool
    needs_force_sensor: bool
    terms_without_sensor: list[str]
    """Must be empty."""


@dataclass(frozen=True)
class ActionContract:
    """What an output of the network means: target = pose + velocity feedforward + scale * filtered, clipped action."""

    mode: str
    """`default_relative`: the pose is `offset`; `reference_residual`: it is that of the reference."""
    joints: list[str]
    scale: list[float]
    """Is not applied inside the network."""
    offset: list[float]
    velocity_feedforward_s: list[float]
    """Of each joint of the robot."""
    clip: float
    filter_alpha: float
    filter_period_s: float
    boot_hold_s: float
    """The joints hold their pose for this time after the start."""
    expected_delay_s: list[float]
    """Shortest and longest delay of actions in training."""


@dataclass(frozen=True)
class ReferenceContract:
    """The motion that the policy follows."""

    frame_offsets: list[int]
    """Frames that the policy sees, from now."""
    look_ahead_s: float
    rate_hz: float
    anchor_body: str
    """Its heading and horizontal position are aligned with the robot's at the start."""
    alignment: list[str]
    quaternion_order: str
    at_end: str
    """`hold` (the last frame at rest) or `stand` (a blend to the default pose)."""
    blend_s: float
    """Duration of a blend between clips."""


@dataclass(frozen=True)
class MotionContract:
    """A clip in the folder of the policy."""

    name: str
    file: str
    sha256: str
    """Of the file."""
    source_sha256: str
    """Content hash of the motion that the policy was trained on."""
    frames: int


@dataclass(frozen=True)
class SafetyContract:
    """Limits that hold whatever the policy commands."""

    target_margin_rad: float
    """How far a target may lie beyond the range of its joint: there it asks for torque, not for a position."""
    slew_factor: float
    """Largest speed of a target, as a multiple of its joint's velocity limit."""
    start_distance_rad: float
    """Largest distance of a joint from the first frame at the start."""
    tilt_limit_rad: float
    """Largest angle between the root's vertical axis and that of the reference."""
    torque_share: float
    """Share of a motor's effort limit that a target may ask for."""
    damping_kd: float
    """Damping of every joint after a stop [N m s/rad]."""
    on_invalid: str
    """`damping`."""


@dataclass(frozen=True)
class GoldenTraceContract:
    """Recorded steps that every runtime must reproduce."""

    file: str
    sha256: str
    steps: int
    tolerance: float
    """Largest difference, absolute plus relative to the value."""


@dataclass(frozen=True)
class Contract:
    """The contents of policy.json."""

    schema: str
    schema_version: int
    policy: NetworkContract
    robot: RobotContract
    timing: TimingContract
    observation: ObservationContract
    action: ActionContract
    reference: ReferenceContract
    motions: list[MotionContract]
    safety: SafetyContract
    golden_trace: GoldenTraceContract
    proof: dict[str, Any]
    provenance: dict[str, Any]
