"""The command `motion_tracking`: each environment follows a clip, from a drawn frame to the clip's end or a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Generator, Tensor

from mtrack import (
    Motion,
    ReferenceClip,
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
from mtrack.api.abilities import ChangesGoal
from mtrack_motion.collect import Collection, collect
from mtrack_motion.derive import ContactRule, at_least
from mtrack_motion.library import MotionLibrary
from mtrack_tracking.coverage import Coverage
from mtrack_tracking.errors import POS, ROOT_TARGET, mean_body_error
from mtrack_tracking.reference import RECORD_WIDTH, MotionReference, from_now_on, root_record, sliding_target
from mtrack_tracking.sampling import ClipBins, FailureBins, PinnedStarts, UniformStarts, frame_range, retry
from mtrack_tracking.soles import Soles
from mtrack_tracking.start import StartNoise, StartStates


@component
class MotionTracking:
    """Follow recorded motions, a new clip in each episode; all joints of the robot are hinges."""

    future_frames: list[int] = param(factory=lambda: [0, 2, 4, 8, 16], validator=from_now_on)
    """Frames that the reference shows [frames from now]; the first is 0. After its last frame a clip stands still."""
    sampling: str = param(default="uniform", validator=one_of("uniform", "failure_aware"))
    """Where episodes start: uniformly, or more often where episodes fail."""
    bin_frames: int = param(default=50, validator=positive)
    """Length of the bins in which failures are counted [frames]."""
    failure_rate: float = param(default=0.001, validator=between(0.0, 1.0))
    """Weight of the newest step in the moving average of failures."""
    failure_decay: float = param(default=0.8, validator=between(0.0, 1.0))
    """Factor on the weight of a failure for each bin that it is further ahead."""
    failure_bins: int = param(default=5, validator=positive)
    """Number of bins that a failure counts for: its own and those before it."""
    uniform_share: float = param(default=0.1, validator=between(0.0, 1.0))
    """Share of failure-aware starts that are drawn uniformly."""
    reported_clips: int = param(default=12, validator=non_negative)
    """Number of clips, those that fail most, whose success is reported by name in the metrics."""
    restart_probability: float = param(default=0.8, validator=between(0.0, 1.0))
    """Probability that an environment that failed starts again shortly before the failure."""
    restart_frames: tuple[int, int] = param(default=(25, 75), validator=frame_range)
    """Least and most frames that it then goes back."""
    start_noise: float = param(default=1.0, validator=non_negative)
    """Factor on all of the following; 0 starts exactly on the reference."""
    start_root_pos: float = param(default=0.03, validator=non_negative)
    """Noise of the root position at the start; never below the reference [m]."""
    start_root_rot: float = param(default=0.1, validator=non_negative)
    """Noise of the root orientation, about a random axis [rad]."""
    start_root_vel: float = param(default=0.1, validator=non_negative)
    """Noise of the root velocities [m/s, rad/s]."""
    start_joint_pos: float = param(default=0.1, validator=non_negative)
    """Noise of the joint positions [rad]."""
    start_joint_vel: float = param(default=0.1, validator=non_negative)
    """Noise of the joint velocities [rad/s]."""
    root_target: str = param(default="absolute", validator=one_of("absolute", "sliding"))
    """`absolute`: the root should be on the reference; `sliding`: it should move as the reference did in the window."""
    window: int = param(default=50, validator=positive)
    """Length of that window [control steps]; drift before it does not count. An episode's first steps are absolute."""
    contact_enter_height: float = param(default=0.18, validator=positive)
    """Height of a reference foot's origin below which it may begin to stand [m]."""
    contact_enter_horizontal: float = param(default=0.2, validator=positive)
    """Largest horizontal speed for that, as a share of v_n = max(horizontal speed of the root, 1 m/s)."""
    contact_enter_vertical: float = param(default=0.15, validator=positive)
    """Largest vertical speed for that, as a share of v_n."""
    contact_leave_height: float = param(default=0.25, validator=[positive, at_least("contact_enter_height")])
    """Height above which the foot stops standing [m]."""
    contact_leave_horizontal: float = param(default=0.3, validator=[positive, at_least("contact_enter_horizontal")])
    """Horizontal speed above which it stops, as a share of v_n."""
    contact_leave_vertical: float = param(default=0.25, validator=[positive, at_least("contact_enter_vertical")])
    """Vertical speed above which it stops, as a share of v_n."""

    rng: Generator = state()
    clip: Tensor = state()
    """int64 [N], of the library."""
    frame: Tensor = state()
    """int64 [N], within the clip; equal to the clip's length while an environment waits at the clip's end."""
    failures: Tensor = state()
    """[bins] moving average of failures per step; None if starts are uniform."""
    coverage: Coverage = state()
    """Which clips are seen, learnt and failing."""
    records: Tensor | None = state()
    """[window + 1, N, 10] root poses of the latest steps, a ring; None if the root target is absolute."""
    newest: int = state()
    """Index of the newest record."""
    robot: Robot = scratch()
    library: MotionLibrary = scratch()
    collection: Collection = scratch()
    change: ChangesGoal | None = scratch()
    """The randomization that changes the goal, if there is one."""
    scene: Scene = scratch()
    reference: MotionReference = scratch()
    starts: UniformStarts = scratch()
    bins: FailureBins | None = scratch()
    start_states: StartStates = scratch()
    ahead: Tensor = scratch()
    last: Tensor = scratch()
    """int64 [C], last frame of each clip."""
    pinned: PinnedStarts | None = scratch()

    def bind(self, scene: Scene, robot: Robot, motions: Mapping[str, tuple[float, Motion]]) -> None:
        """Load the motions (slot to weight and source), publish their first frames. Raises MotionError, NameProblem."""
        self.scene, self.robot = scene, robot
        self._load(motions)
        scaled = {f.name: self.start_noise * getattr(self, f"start_{f.name}") for f in attrs.fields(StartNoise)}
        joint_range, soles = scene.model.joint_range.to(scene.device), Soles.of(scene.model, robot, scene.device)
        self.start_states = StartStates(StartNoise(**scaled), joint_range, soles)
        self.ahead = torch.tensor(self.future_frames, device=scene.device)
        self.clip = torch.zeros(scene.num_envs, dtype=torch.int64, device=scene.device)
        self.frame = torch.zeros_like(self.clip)
        self.newest = 0
        if self.root_target == "sliding":
            self.records = torch.zeros(self.window + 1, scene.num_envs, RECORD_WIDTH, device=scene.device)
        self.publish()

    def clip_frames(self) -> Sequence[tuple[str, int]]:
        """Return name and number of frames of each clip, the first frame included."""
        return list(zip(self.library.names, self.library.length.tolist(), strict=True))

    def pin_clips(self, clips: Tensor, frames: Tensor | None = None) -> None:
        """Start env i at frame `frames[i]` (0 if None) of clip `clips[i]` from now on. Raises ValueError if missing."""
        frames = torch.zeros_like(clips) if frames is None else frames
        self.pinned = PinnedStarts(self.library, clips.to(self.clip), frames.to(self.clip))

    def playing(self) -> tuple[Tensor, Tensor]:
        """Return clip and frame of each environment, int64 [N] each; the clip's length while it waits at the end."""
        return self.clip.clone(), self.frame.clone()

    def change_goal(self, change: ChangesGoal) -> None:
        """Let a randomization change the goal from now on."""
        self.change = change
        self.publish()

    def reset(self, env_ids: Tensor, failed: Tensor) -> StartState:
        """Draw a clip and frame for some environments, publish their reference, return the state to start in."""
        clip = self.clip.index_select(0, env_ids)
        before = clip, torch.minimum(self.frame.index_select(0, env_ids), self.last[clip])
        if self.bins is not None:
            self.failures.index_add_(0, self.bins.of(*before), failed * self.failure_rate)
        self.coverage.end(env_ids, *before, failed)
        clip, frame = self._draw(env_ids, failed)
        self.coverage.begin(env_ids, clip, frame)
        self.clip.index_copy_(0, env_ids, clip)
        self.frame.index_copy_(0, env_ids, frame)
        frames = self.library.rows(clip, frame.unsqueeze(1) + self.ahead)
        some = MotionReference.gather(self.library, frames, self.change, started=env_ids)
        self.reference.put(env_ids, some)
        self._publish_root_target()
        start = self.start_states.draw(some, len(env_ids), self.rng)
        if self.records is not None:
            self.records[self.newest].index_copy_(0, env_ids, root_record(start, some))
        return start

    def advance(self) -> None:
        """Move every environment to its next frame and publish the reference."""
        torch.minimum(self.frame + 1, self.library.length[self.clip], out=self.frame)
        if self.bins is not None:
            self.failures.mul_(1.0 - self.failure_rate)
        if self.records is not None:
            self.newest = (self.newest + 1) % len(self.records)
        self.publish()
        if self.records is not None:
            self.records[self.newest] = root_record(self.scene.robot, self.reference)

    def publish(self) -> None:
        """Publish the reference of the present clips and frames."""
        frames = self.library.rows(self.clip, self.frame.unsqueeze(1) + self.ahead)
        self.reference = MotionReference.gather(self.library, frames, self.change)
        self._publish_root_target()
        self.scene.reference = self.reference

    def metrics(self) -> Mapping[str, Tensor]:
        """Return present means over all environments (error of keypoints, root and joints), and the coverage."""
        robot, reference = self.scene.robot, self.scene.reference
        keypoints = self.scene.model.bodies("keypoints").to(self.scene.device)
        return {
            "tracking/keypoint_pos_m": mean_body_error(self.scene, POS, keypoints).mean(),
            "tracking/root_pos_m": (robot.root_pos - reference.root_pos).norm(dim=-1).mean(),
            "tracking/joint_pos_rad": (robot.joint_pos - reference.joint_pos).abs().mean(),
            **self.coverage.metrics(self.reported_clips),
        }

    def reference_clip(self, number: int) -> ReferenceClip:
        """Return a clip of the library as a robot plays it."""
        return self.library.reference_clip(number)

    def policy_facts(self) -> Mapping[str, object]:
        """Return which frames of the motion the policy observes."""
        return {"future_frames": self.future_frames}

    def provenance(self) -> Mapping[str, object]:
        """Return which clips the run uses, for its manifest."""
        return self.collection.provenance()

    def finished(self) -> Tensor:
        """Return bool [N]: environments at the last frame of their clip, or waiting there."""
        return self.frame >= self.last[self.clip]

    def _publish_root_target(self) -> None:
        """Publish where the root should be, unless that is on the reference."""
        if self.records is not None:
            pos, oldest = self.reference.root_pos, self.records[(self.newest + 1) % len(self.records)]
            is_recorded = (self.scene.episode_step >= self.window).unsqueeze(1)
            self.scene.extras[ROOT_TARGET] = torch.where(is_recorded, sliding_target(oldest, pos), pos)

    def _load(self, motions: Mapping[str, tuple[float, Motion]]) -> None:
        """Build the library and what draws clips and frames from it."""
        device = self.scene.device
        rule = ContactRule(**{f.name: getattr(self, f"contact_{f.name}") for f in attrs.fields(ContactRule)})
        collection = collect(self.robot, motions, self.scene.dt, rule).to(device)
        collection.report()
        self.collection, self.library = collection, collection.library
        self.last = self.library.length - 1
        clips = (self.library.length, collection.slot, collection.slot_weight, self.library.weight)
        self.starts = UniformStarts(*clips)
        if self.sampling == "failure_aware":
            frames, kernel, decay = self.bin_frames, self.failure_bins, self.failure_decay
            self.bins = FailureBins(*clips, frames=frames, kernel=kernel, decay=decay, uniform=self.uniform_share)
            self.failures = torch.zeros(len(self.bins.clip), device=device)
        bins = self.bins or ClipBins(self.library.length, self.bin_frames)
        self.coverage = Coverage(bins, self.library.names, collection.slots, collection.slot, self.scene.num_envs)

    def _draw(self, env_ids: Tensor, failed: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and frame of the next episodes, int64 [n]."""
        if self.pinned is not None:
            return self.pinned.draw(env_ids)
        uniform = torch.rand(len(env_ids), 4, generator=self.rng, device=self.rng.device)
        starts = uniform[:, :2]
        clip, frame = self.bins.draw(self.failures, starts) if self.bins else self.starts.draw(starts)
        again = failed & (uniform[:, 2] < self.restart_probability)
        retried = retry(self.frame[env_ids], self.restart_frames, uniform[:, 3])
        return torch.where(again, self.clip[env_ids], clip), torch.where(again, retried, frame)
