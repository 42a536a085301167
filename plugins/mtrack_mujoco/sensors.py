"""Adds and reads MuJoCo contact sensors for the contacts that components require."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
from torch import Tensor

from mtrack import ContactSensor, NameProblem
from mtrack.errors import did_you_mean

_DATA = mujoco.mjtConDataField
_FOUND_AND_FORCE = 1 << int(_DATA.mjCONDATA_FOUND) | 1 << int(_DATA.mjCONDATA_FORCE)
_NET_FORCE = 3  # reduction of all contacts to their sum
_WIDTH = 4


def add_contact_sensors(spec: mujoco.MjSpec, sensors: Sequence[ContactSensor], root: str) -> None:
    """Add one MuJoCo sensor per required contact, in order. Raises NameProblem for an unknown body."""
    known = [body.name for body in spec.bodies]
    for wanted in sensors:
        if wanted.body not in known:
            hint = did_you_mean(wanted.body, known)
            raise NameProblem(f"no body '{wanted.body}' for a contact sensor. {hint}".rstrip(), wanted.name)
        sensor = spec.add_sensor(name=wanted.name, type=mujoco.mjtSensor.mjSENS_CONTACT)
        sensor.objtype, sensor.objname = mujoco.mjtObj.mjOBJ_BODY, wanted.body
        match wanted.against:
            case "":
                pass
            case "floor":
                sensor.reftype, sensor.refname = mujoco.mjtObj.mjOBJ_BODY, "world"
            case "self":  # XBODY: the root and everything attached to it
                sensor.reftype, sensor.refname = mujoco.mjtObj.mjOBJ_XBODY, root
            case other:
                message = f"contacts of '{wanted.body}' against '{other}': choose 'floor', 'self' or nothing"
                raise NameProblem(message, wanted.name)
        sensor.intprm[:3] = _FOUND_AND_FORCE, _NET_FORCE, 1


def contact_columns(model: mujoco.MjModel, sensors: Sequence[ContactSensor]) -> slice:
    """Return the columns of the contact sensors in `sensordata`."""
    start = int(model.sensor(sensors[0].name).adr[0]) if sensors else 0
    return slice(start, start + _WIDTH * len(sensors))


def read_contacts(values: Tensor, out: Tensor) -> None:
    """Write sensor values, [N, C * 4], as contact count and force on the body, float32 [N, C, 4], to `out`."""
    out.copy_(values.view(out.shape))
    out[..., 1:].neg_()  # the sensor measures the force of the first body on the second, in world axes
