"""The command `motion_tracking`: each row follows a clip, from a drawn frame to its end or its failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Generator, Tensor

from mtrack import (
    Motion,
    Robot,
    Scene,
    StartState,
    between,
    component,
    non_negative,
    one_of,
    param,
    positive,
    scratch,
    state,
)
from mtrack_motion.collect import Collection, collect
from mtrack_motion.derive import ContactRule, at_least
from mtrack_motion.library import MotionLibrary
from mtrack_tracking.bounds import frame_range, from_now_on
from mtrack_tracking.coverage import Coverage
from mtrack_tracking.errors import POS, mean_body_error
from mtrack_tracking.goal import Goal
from mtrack_tracking.hinges import compiled_with_single_hinges
from mtrack_tracking.published import PublishedReference
from mtrack_tracking.root_target import RECORD_WIDTH, root_record, sliding_target
from mtrack_tracking.sampling import ClipBins, FailureBins, UniformStarts
from mtrack_tracking.soles import Soles
from mtrack_tracking.start import START_QUANTITIES, StartNoise, start_state


@component
class MotionTracking:
    """Follow recorded motions, from a new clip and frame in each episode; the robot has at most one hinge a body."""

    future_frames: list[int] = param(factory=lambda: [0, 2, 4, 8, 16], validator=from_now_on)
    """What the reference shows [frames from now]; the first is 0. Past its end a clip's last pose holds, at rest."""
    sampling: str = param(default="uniform", validator=one_of("uniform", "failure_aware"))
    """Where episodes start: anywhere alike, or more often where rows fail."""
    bin_frames: int = param(default=50, validator=positive)
    """Length of the bins failures are counted in [frames]."""
    failure_rate: float = param(default=0.001, validator=between(0.0, 1.0))
    """Weight of the newest step in the moving average of failures."""
    failure_decay: float = param(default=0.8, validator=between(0.0, 1.0))
    """How much less a failure counts for each bin further back."""
    failure_bins: int = param(default=5, validator=positive)
    """Bins a failure counts for: its own and those before it."""
    uniform_share: float = param(default=0.1, validator=between(0.0, 1.0))
    """Share of failure-aware starts that are drawn alike all the same."""
    reported_clips: int = param(default=12, validator=non_negative)
    """Clips whose success is among the metrics by name, those that fail most; of the others only their number."""
    restart_probability: float = param(default=0.8, validator=between(0.0, 1.0))
    """Probability that a failed row tries the same place again."""
    restart_frames: tuple[int, int] = param(default=(25, 75), validator=frame_range)
    """Least and most it then goes back [frames]."""
    start_noise: float = param(default=1.0, validator=non_negative)
    """Factor on all of the following; 0 starts exactly on the reference."""
    start_root_pos: float = param(default=0.03, validator=non_negative)
    """Noise of the root's position at the start; never lower than the reference [m]."""
    start_root_rot: float = param(default=0.1, validator=non_negative)
    """Noise of its orientation, about a random axis [rad]."""
    start_root_vel: float = param(default=0.1, validator=non_negative)
    """Noise of its velocities [m/s, rad/s]."""
    start_joint_pos: float = param(default=0.1, validator=non_negative)
    """Noise of the joint positions [rad]."""
    start_joint_vel: float = param(default=0.1, validator=non_negative)
    """Noise of the joint velocities [rad/s]."""
    root_target: str = param(default="absolute", validator=one_of("absolute", "sliding"))
    """Where the root should be: on the reference, or the reference's latest way on from where the robot was (drift)."""
    window: int = param(default=50, validator=positive)
    """Length of that way [control steps]; an episode's first steps have the absolute target."""

    contact_enter_height: float = param(default=0.18, validator=positive)
    """Height of a reference foot's origin below which it may begin to stand [m]."""
    contact_enter_horizontal: float = param(default=0.2, validator=positive)
    """Share of v_n = max(horizontal speed of the root, 1 m/s) its horizontal speed must stay below for that."""
    contact_enter_vertical: float = param(default=0.15, validator=positive)
    """Share of v_n its vertical speed must stay below for that."""
    contact_leave_height: float = param(default=0.25, validator=[positive, at_least("contact_enter_height")])
    """Height above which it stops standing [m]."""
    contact_leave_horizontal: float = param(default=0.3, validator=[positive, at_least("contact_enter_horizontal")])
    """Share of v_n of the horizontal speed above which it stops."""
    contact_leave_vertical: float = param(default=0.25, validator=[positive, at_least("contact_enter_vertical")])
    """Share of v_n of the vertical speed above which it stops."""

    rng: Generator = state()
    clip: Tensor = state()
    """int64 [N]."""
    frame: Tensor = state()
    """int64 [N], within the clip; its length once the row is held at the clip's end."""
    failures: Tensor = state()
    """[bins] moving average of failures a step; None where starts are uniform."""
    coverage: Coverage = state()
    """Which clips are seen, learnt, failing."""
    records: Tensor | None = state()
    """[window + 1, N, 10] root poses of the latest steps, a ring."""
    newest: int = state()
    """Place of the newest in the ring."""
    library: MotionLibrary = scratch()
    collection: Collection = scratch()
    flags: Tensor = scratch()
    """[N, 3], published as they are; zero unless something else writes them."""
    goal: Goal = scratch()
    """What rows are to do, should a component change it."""
    scene: Scene = scratch()
    reference: PublishedReference = scratch()
    starts: UniformStarts = scratch()
    bins: FailureBins | None = scratch()
    soles: Soles = scratch()
    noise: StartNoise = scratch()
    ahead: Tensor = scratch()
    last: Tensor = scratch()
    """int64 [C], last frame of each clip."""
    joint_range: Tensor = scratch()
    keypoints: Tensor = scratch()
    pinned: Tensor | None = scratch()

    def bind(self, scene: Scene, robot: Robot, motions: Mapping[str, tuple[float, Motion]]) -> None:
        """Load the motions (slot to weight and source), publish their first frames. Raises MotionError, NameProblem."""
        self.scene = scene
        self._load(robot, motions)
        self.goal = Goal(self.library, compiled_with_single_hinges(robot, scene.model))
        self.soles = Soles(scene.model, self.goal.compiled, scene.device)
        self.joint_range = scene.model.joint_range.to(scene.device)
        fields = [field.name for field in attrs.fields(StartNoise)]
        self.noise = StartNoise(**{name: self.start_noise * getattr(self, f"start_{name}") for name in fields})
        self.ahead = torch.tensor(self.future_frames, device=scene.device)
        self.clip = torch.zeros(scene.num_envs, dtype=torch.int64, device=scene.device)
        self.frame = torch.zeros_like(self.clip)
        self.flags = torch.zeros(scene.num_envs, 3, device=scene.device)
        self.newest = 0
        if self.root_target == "sliding":
            self.records = torch.zeros(self.window + 1, scene.num_envs, RECORD_WIDTH, device=scene.device)
        self.keypoints = scene.model.bodies("keypoints").to(scene.device)
        self.publish()

    def clip_frames(self) -> Sequence[tuple[str, int]]:
        """Return name and number of frames of each clip, the first frame included."""
        return list(zip(self.library.names, self.library.length.tolist(), strict=True))

    def pin_clips(self, clips: Tensor) -> None:
        """From now on start env i at frame 0 of clip `clips[i]`, int64 [N], at every reset: for evaluation."""
        self.pinned = clips.to(self.clip)

    def reset(self, env_ids: Tensor, failed: Tensor) -> StartState:
        """Draw a new clip and frame for rows, publish their reference and return the disturbed state to start in."""
        clip = self.clip.index_select(0, env_ids)
        before = clip, torch.minimum(self.frame.index_select(0, env_ids), self.last[clip])
        if self.bins is not None:
            self.failures.index_add_(0, self.bins.of(*before), failed * self.failure_rate)
        self.coverage.end(env_ids, *before, failed)
        clip, frame = self._draw(env_ids, failed)
        self.coverage.begin(env_ids, clip, frame)
        self.clip.index_copy_(0, env_ids, clip)
        self.frame.index_copy_(0, env_ids, frame)
        self.goal.started(env_ids, clip)
        motion = self.reference.put(env_ids, self._frames(clip, frame))
        self._aim()
        on_reference = StartState(**{name: getattr(motion, name) for name in START_QUANTITIES})
        offset = self.noise.draw(len(env_ids), len(self.joint_range), self.rng)
        start = start_state(on_reference, offset, self.joint_range, self.soles)
        if self.records is not None:
            record = root_record(start.root_pos, start.root_quat_wxyz, motion.root_pos, motion.root_quat_wxyz)
            self.records[self.newest].index_copy_(0, env_ids, record)
        return start

    def advance(self) -> None:
        """Go on by one frame and publish the reference of the new time."""
        torch.minimum(self.frame + 1, self.library.length[self.clip], out=self.frame)
        if self.bins is not None:
            self.failures.mul_(1.0 - self.failure_rate)
        if self.records is not None:
            self.newest = (self.newest + 1) % len(self.records)
        self.publish()
        if self.records is not None:
            robot, reference = self.scene.robot, self.scene.reference
            self.records[self.newest] = root_record(
                robot.root_pos, robot.root_quat_wxyz, reference.root_pos, reference.root_quat_wxyz
            )

    def publish(self) -> None:
        """Publish the reference of the present clips and frames."""
        frames = self._frames(self.clip, self.frame)
        self.reference = PublishedReference(self.goal, frames, self.goal.of(frames[:, 0]), self.flags)
        self._aim()
        self.scene.reference = self.reference

    def metrics(self) -> Mapping[str, Tensor]:
        """Return present means over the rows (distance of keypoints and root, error of joints), and the coverage."""
        robot, reference = self.scene.robot, self.scene.reference
        return {
            "tracking/keypoint_pos_m": mean_body_error(self.scene, POS, self.keypoints).mean(),
            "tracking/root_pos_m": (robot.root_pos - reference.root_pos).norm(dim=-1).mean(),
            "tracking/joint_pos_rad": (robot.joint_pos - reference.joint_pos).abs().mean(),
            **self.coverage.figures(self.reported_clips),
        }

    def policy_facts(self) -> Mapping[str, object]:
        """Return which frames of the motion a policy is shown."""
        return {"future_frames": self.future_frames}

    def provenance(self) -> Mapping[str, object]:
        """Return which clips the run uses, for its manifest."""
        return self.collection.provenance()

    def finished(self) -> Tensor:
        """Return bool [N]: rows at the last frame of their clip, or held there."""
        return self.frame >= self.last[self.clip]

    def _frames(self, clip: Tensor, frame: Tensor) -> Tensor:
        """Return the frames of the library the reference shows at frames of clips, int64 [n] to [n, S]."""
        library, ahead = self.library, frame.unsqueeze(1) + self.ahead
        within = ahead <= self.last[clip].unsqueeze(1)
        return torch.where(within, library.start[clip].unsqueeze(1) + ahead, library.held[clip].unsqueeze(1))

    def _aim(self) -> None:
        """Say where the root should be, where that is not simply on the reference."""
        if self.records is not None:
            reference = self.reference
            oldest = self.records[(self.newest + 1) % len(self.records)]
            had = (self.scene.episode_step >= self.window).unsqueeze(1)
            reference.root_target = torch.where(had, sliding_target(oldest, reference.root_pos), reference.root_pos)

    def _load(self, robot: Robot, motions: Mapping[str, tuple[float, Motion]]) -> None:
        """Build the library, and what draws from it."""
        device = self.scene.device
        rule = ContactRule(**{f.name: getattr(self, f"contact_{f.name}") for f in attrs.fields(ContactRule)})
        collection = collect(robot, motions, self.scene.dt, rule).to(device)
        collection.tell()
        self.collection, self.library = collection, collection.library
        self.last = self.library.length - 1
        clips = (self.library.length, collection.slot, collection.slot_weight, self.library.weight)
        self.starts = UniformStarts(*clips)
        if self.sampling == "failure_aware":
            self.bins = FailureBins(
                *clips,
                frames=self.bin_frames,
                kernel=self.failure_bins,
                decay=self.failure_decay,
                uniform=self.uniform_share,
            )
            self.failures = torch.zeros(len(self.bins.clip), device=device)
        bins = self.bins or ClipBins(self.library.length, self.bin_frames)
        names = (self.library.names, collection.slots, collection.slot)
        self.coverage = Coverage(bins, *names, num_rows=self.scene.num_envs)

    def _draw(self, env_ids: Tensor, failed: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and frame for rows, int64 [n]."""
        if self.pinned is not None:
            clip = self.pinned[env_ids]
            return clip, torch.zeros_like(clip)
        uniform = torch.rand(len(env_ids), 4, generator=self.rng, device=self.rng.device)
        if self.bins is None:
            clip, frame = self.starts.draw(uniform[:, :2])
        else:
            clip, frame = self.bins.draw(self.failures, uniform[:, :2])
        again = failed & (uniform[:, 2] < self.restart_probability)
        least, most = self.restart_frames
        back = least + (uniform[:, 3] * (most - least + 1)).long()
        earlier = (self.frame[env_ids] - back).clamp_min(0)
        return torch.where(again, self.clip[env_ids], clip), torch.where(again, earlier, frame)
