"""Contacts, forces and air times are computed from the substeps."""

import attrs
import torch

from mtrack.loop.contacts import ContactTracker


@attrs.define
class Sensors:
    """A backend that has contacts and nothing else."""

    contacts: torch.Tensor
    contact_names: tuple[str, ...] = ("foot",)


def step(tracker: ContactTracker, found: list[float], force: list[float]) -> None:
    for count, newton in zip(found, force, strict=True):
        tracker.backend.contacts = torch.tensor([[[count, 0.0, 0.0, newton]]])
        tracker.after_substep()
    tracker.update()


def make() -> ContactTracker:
    return ContactTracker(Sensors(torch.zeros(1, 1, 4)), 1, dt=0.02)


def test_contact_needs_two_of_four_substeps():
    tracker = make()
    step(tracker, [0, 0, 0, 1], [0, 0, 0, 0])
    assert not tracker.contacts.in_contact.item()
    step(tracker, [0, 1, 0, 1], [0, 0, 0, 0])
    assert tracker.contacts.in_contact.item()


def test_force_is_the_mean_of_the_last_three_substeps():
    tracker = make()
    step(tracker, [1, 1, 1, 1], [900.0, 1.0, 2.0, 6.0])
    assert tracker.contacts.force[0, 0].tolist() == [0.0, 0.0, 3.0]


def test_air_time_is_kept_when_the_foot_lands():
    tracker = make()
    for _ in range(5):
        step(tracker, [0, 0, 0, 0], [0, 0, 0, 0])
    step(tracker, [1, 1, 1, 1], [1, 1, 1, 1])
    assert tracker.contacts.first_contact.item()
    torch.testing.assert_close(tracker.contacts.last_air_time, torch.tensor([[0.1]]))
    assert tracker.contacts.air_time.item() == 0.0
    step(tracker, [1, 1, 1, 1], [1, 1, 1, 1])
    assert not tracker.contacts.first_contact.item()
    torch.testing.assert_close(tracker.contacts.contact_time, torch.tensor([[0.04]]))


def test_a_reset_environment_has_the_contacts_of_its_start_pose():
    tracker = make()
    step(tracker, [1, 1, 1, 1], [500.0] * 4)
    tracker.backend.contacts = torch.zeros(1, 1, 4)
    tracker.reset(torch.tensor([0]))
    assert not tracker.contacts.in_contact.item()
    assert tracker.contacts.force.abs().sum().item() == 0.0
    assert tracker.contacts.contact_time.item() == 0.0
