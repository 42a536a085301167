"""Start frames of episodes: by slot weight, by length, and more often in bins with failures."""

from __future__ import annotations

import pytest
import torch

from mtrack_tracking.sampling import FailureBins, UniformStarts, draw_index, last_start

LENGTH = torch.tensor([100, 300, 600])
SLOT = torch.tensor([0, 0, 1])
EVEN = torch.tensor([1.0, 1.0])


def bins(weights=EVEN, kernel=3, uniform=0.1):
    return FailureBins(LENGTH, SLOT, weights, frames=50, kernel=kernel, decay=0.5, uniform=uniform)


def numbers(count):
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(0))


def test_the_last_start_leaves_a_quarter_and_100_frames():
    assert last_start(torch.tensor([20, 100, 101, 300, 400, 1000])).tolist() == [0, 0, 1, 200, 300, 750]


def test_slots_are_drawn_by_weight_and_their_clips_by_frames():
    starts = UniformStarts(LENGTH, SLOT, torch.tensor([3.0, 1.0]))
    clip, frame = starts.draw(numbers(20_000))
    share = torch.bincount(clip) / 20_000
    assert share.tolist() == pytest.approx([0.75 / 4, 0.75 * 3 / 4, 0.25], abs=0.01)
    assert (frame <= last_start(LENGTH)[clip]).all()
    assert frame[clip == 2].float().mean() == pytest.approx(225, abs=5)


def test_the_largest_uniform_number_still_draws_an_index():
    cumulative = torch.full((7,), 1 / 7, dtype=torch.float64).cumsum(0)
    assert draw_index(cumulative, torch.tensor([0.0, 1.0])).tolist() == [0, 6]


def test_bins_cover_every_frame_of_every_clip():
    them = bins()
    assert torch.bincount(them.clip, them.size.double()).tolist() == LENGTH.tolist()
    clip = torch.tensor([0, 1, 1, 2])
    place = them.of(clip, torch.tensor([99, 0, 299, 50]))
    assert them.clip[place].tolist() == clip.tolist()
    assert them.start[place].tolist() == [50, 0, 250, 50]


def test_without_failures_every_start_frame_is_as_likely_as_with_uniform_starts():
    them = bins(weights=torch.tensor([3.0, 1.0]))
    probability = them.probability(torch.zeros(20))
    of_clips = torch.zeros(3, dtype=torch.float64).index_add_(0, them.clip, probability)
    # slots go 3 to 1, and the clips of the first one by their 100 and 300 frames
    assert of_clips.tolist() == pytest.approx([0.75 * 0.25, 0.75 * 0.75, 0.25])
    # an episode starts at one frame of clip 0, at 201 of clip 1, at 451 of clip 2
    frames = torch.tensor([1, 201, 451])
    expected = of_clips[them.clip] * them.startable / frames[them.clip]
    assert probability.tolist() == pytest.approx(expected.tolist())
    assert torch.zeros(3).index_add_(0, them.clip, them.startable.float()).tolist() == frames.tolist()


@pytest.mark.parametrize(("length", "first_late"), [(250, 151), (120, 21), (149, 50), (1000, 751), (60, 1)])
def test_without_failures_no_frame_is_drawn_more_often_than_another(length, first_late):
    clip = torch.tensor([length])
    them = FailureBins(clip, torch.zeros_like(clip), torch.ones(1), frames=50, kernel=5, decay=0.8, uniform=0.1)
    # every draw that a fine grid of numbers makes, so that the counts are exact
    steps = torch.linspace(0, 1, 1502, dtype=torch.float64)[:-1]
    frame = them.draw(torch.zeros(len(them.clip)), torch.cartesian_prod(steps, steps))[1]
    share = torch.bincount(frame, minlength=length) / len(frame)
    assert share[:first_late].tolist() == pytest.approx([1 / first_late] * first_late, rel=0.07)
    assert share[first_late:].sum() == 0.0


def test_a_failure_makes_its_bin_and_earlier_ones_likelier_but_no_other_clip():
    failures = torch.zeros(20)
    failures[2] = 0.01  # first bin of clip 1
    failures[7] = 0.01  # last bin of clip 1, which counts for bin 5: the last one in which an episode can start
    probability = bins(uniform=0.0).probability(failures)
    assert probability[:2].tolist() == [0.0, 0.0]  # clip 0 ends just before the first failure
    assert probability[2:8].tolist() == pytest.approx(
        [0.5 * difficulty / 2.75 for difficulty in (1.0, 0.25, 0.5, 1.0, 0.0, 0.0)]
    )
    assert probability[8:].sum() == pytest.approx(0.5)  # the other slot keeps its weight


def test_the_uniform_share_does_not_depend_on_failures_elsewhere():
    failures = torch.zeros(20)
    failures[0] = 1.0
    probability = bins(uniform=0.1).probability(failures)
    assert probability[2:8].sum() == pytest.approx(0.1 * 0.5 * 0.75)
    assert probability.sum() == pytest.approx(1.0)


def test_drawn_frames_are_in_the_drawn_bin():
    failures = torch.zeros(20)
    failures[4] = 1.0  # frames 100..149 of clip 1
    clip, frame = bins(kernel=1, uniform=0.0).draw(failures, numbers(1000))
    middle = frame[clip == 1]
    assert (middle.min(), middle.max()) == (100, 149)


@pytest.mark.parametrize("late", [17, 18, 19])
def test_a_failure_in_a_bin_without_starts_counts_for_the_last_bin_with_starts(late):
    failures = torch.zeros(20)
    failures[late] = 1.0  # of clip 2, bins 8 to 19: frames 450 and later can hold no start
    clip, frame = bins(kernel=1, uniform=0.0).draw(failures, numbers(4000))
    frame = frame[clip == 2]
    assert (frame.min(), frame.max()) == (400, 450)
    assert torch.bincount(frame - 400).max() / len(frame) < 0.04
