"""Verifies that the model fields which randomizations have drawn are physically possible."""

from __future__ import annotations

import torch

from mtrack.api.lifecycle import Requires
from mtrack.errors import ComponentError
from mtrack.loop.assemble import Assembly

# fields of mujoco.MjModel whose values keep the sign they were compiled with
_NEVER_ZERO = frozenset({"body_inertia", "body_mass", "body_subtreemass", "geom_size"})
# of these, 0 switches something off: a motor without force, a floor without friction
_NEVER_OTHER_SIGN = frozenset(
    {
        "actuator_biasprm",
        "actuator_gainprm",
        "dof_armature",
        "dof_damping",
        "dof_frictionloss",
        "geom_friction",
        "jnt_stiffness",
    }
)


def require_sound_fields(assembly: Assembly) -> None:
    """Raise ComponentError naming the component whose model field is not finite, or negative where it must not be."""
    backend = assembly.env.backend
    for path, component in assembly.components.items():
        if not isinstance(component, Requires):
            continue
        for name in component.requires(assembly.env.scene.model).model_fields:
            present, nominal = backend.field(name), backend.nominal(name)
            wrong = ~torch.isfinite(present)
            what = "NaN or infinity"
            if name in _NEVER_ZERO and not wrong.any():
                wrong = (present.sign() != nominal.sign()) & (nominal != 0.0)
                what = "zero or a value of the wrong sign"
            elif name in _NEVER_OTHER_SIGN and not wrong.any():
                wrong = present * nominal < 0.0
                what = "a value of the wrong sign"
            if wrong.any():
                index = wrong.nonzero()[0].tolist()
                value = float(present[tuple(index)])
                raise ComponentError(
                    f"{assembly.slots[path]}: {name}[{', '.join(map(str, index[1:]))}] is {value:.4g} in environment "
                    f"{index[0]}: {what}; it was compiled as {float(nominal[tuple(index[1:])]):.4g}"
                )
