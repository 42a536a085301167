"""Contacts as components see them, from what the backend measures in each substep."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack.api.protocols import Backend
from mtrack.api.scene import Contacts

_FORCE_SUBSTEPS = 3
_FOUND_SUBSTEPS = 4
_FOUND_AT_LEAST = 2


class ContactTracker:
    """Averages forces over substeps, decides what counts as contact, and keeps the times of contact and flight."""

    def __init__(self, backend: Backend, num_envs: int, dt: float) -> None:
        """Allocate for the sensors of a built backend; `dt` is the control step [s]."""
        names, like = backend.contact_names, backend.contacts
        self.backend, self.dt = backend, dt
        self.recent = like.new_zeros(_FOUND_SUBSTEPS, num_envs, len(names), 4)
        """The last substeps, a ring: number of contact points and net force of each sensor."""
        self.newest = 0

        def flags() -> Tensor:
            return torch.zeros(num_envs, len(names), dtype=torch.bool, device=like.device)

        def times() -> Tensor:
            return like.new_zeros(num_envs, len(names))

        self.contacts = Contacts(
            names=names,
            force=like.new_zeros(num_envs, len(names), 3),
            count=times(),
            contact_time=times(),
            air_time=times(),
            last_air_time=times(),
            in_contact=flags(),
            first_contact=flags(),
        )

    def after_substep(self) -> None:
        """Remember the substep just made."""
        self.newest = (self.newest + 1) % _FOUND_SUBSTEPS
        self.recent[self.newest] = self.backend.contacts

    def update(self) -> None:
        """Bring the contacts to the end of a control step."""
        if not self.contacts.names:
            return
        contacts, before = self.contacts, self.contacts.in_contact.clone()
        self._measure()
        now = contacts.in_contact
        torch.logical_and(now, ~before, out=contacts.first_contact)
        contacts.last_air_time.copy_(torch.where(contacts.first_contact, contacts.air_time, contacts.last_air_time))
        contacts.contact_time.add_(self.dt).mul_(now)
        contacts.air_time.add_(self.dt).mul_(~now)

    def reset(self, env_ids: Tensor) -> None:
        """Restart envs from the contacts that the backend found in their start pose."""
        if not self.contacts.names:
            return
        contacts = self.contacts
        self.recent.index_copy_(1, env_ids, self.backend.contacts[env_ids].expand(_FOUND_SUBSTEPS, -1, -1, -1))
        self._measure()
        for tensor in (contacts.contact_time, contacts.air_time, contacts.last_air_time):
            tensor.index_fill_(0, env_ids, 0.0)
        contacts.first_contact.index_fill_(0, env_ids, False)

    def _measure(self) -> None:
        latest = [self.recent[(self.newest - ago) % _FOUND_SUBSTEPS, :, :, 1:] for ago in range(_FORCE_SUBSTEPS)]
        force = self.contacts.force.copy_(latest[0])
        for other in latest[1:]:
            force.add_(other)
        force.mul_(1.0 / _FORCE_SUBSTEPS)
        self.contacts.count.copy_(self.recent[self.newest, :, :, 0])
        found = (self.recent[..., 0] > 0).sum(0)
        torch.ge(found, _FOUND_AT_LEAST, out=self.contacts.in_contact)
