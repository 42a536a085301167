"""Validators of parameters that are more than one number."""

from __future__ import annotations

import attrs


def from_now_on(instance: object, attribute: attrs.Attribute[list[int]], frames: list[int]) -> None:
    """Raise ValueError unless frames begin with the present one and rise."""
    if not frames or frames[0] != 0 or sorted(set(frames)) != frames:
        raise ValueError(f"'{attribute.name}' must begin with 0, the present frame, and rise; it is {frames}")


def frame_range(instance: object, attribute: attrs.Attribute[tuple[int, int]], value: tuple[int, int]) -> None:
    """Raise ValueError unless a value is a least and a most number of frames."""
    if not 0 <= value[0] <= value[1]:
        raise ValueError(f"'{attribute.name}' must be [least, most], not negative; it is {list(value)}")
