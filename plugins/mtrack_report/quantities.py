"""How a metric is shown: its unit, and the factor from its own unit to that one."""

from __future__ import annotations

import math

import attrs

from mtrack_log.text import number

_SHARES = ("episode/completed", "termination/", "coverage/", "clip/", "update/skipped", "policy/clip_fraction")
_UNITS = {
    "episode/length": "steps",
    "env/diverged": "steps",
    "time/frames_per_s": "frames/s",
}
_SHORT = {"share": (100.0, "%"), "m": (1000.0, "mm")}
"""Units of metrics that people read in another one."""
_ZERO = 1e-9  # a smaller value is a rounding error


@attrs.frozen
class DisplayUnit:
    """The unit in which values are shown."""

    unit: str = ""
    factor: float = 1.0

    def shown(self, value: float) -> str:
        """Return a value with its unit; a dash if it is not known."""
        if not math.isfinite(value):
            return "–"  # noqa: RUF001  a dash
        return f"{self.bare(value)} {self.unit}".rstrip()

    def bare(self, value: float) -> str:
        """Return a value without its unit; a dash if it is not known."""
        if not math.isfinite(value):
            return "–"  # noqa: RUF001  a dash
        scaled = value * self.factor
        if self.unit == "%":
            return f"{scaled:.1f}".removesuffix(".0")
        return "0" if abs(scaled) < _ZERO else number(scaled).replace("-", "\u2212")

    def tick(self, value: float, span: float) -> str:
        """Return a value at an axis whose length is `span`."""
        scaled, span = value * self.factor, abs(span * self.factor)
        size = max(abs(scaled), span)
        if size >= 10_000 or size < 1e-3:
            text = f"{scaled:.1e}" if scaled else "0"
            mantissa, _, exponent = text.partition("e")
            text = f"{mantissa.removesuffix('.0')}e{int(exponent)}" if exponent else text
        else:
            decimals = max(0, 1 - math.floor(math.log10(span))) if span else 0
            text = f"{scaled:.{decimals}f}"
            text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text in ("-0", "") else text.replace("-", "\u2212")


def number_of(number: int, thing: str) -> str:
    """Return a count with its noun."""
    return f"{number} {thing}{'s' * (number != 1)}"


def of_training(name: str) -> DisplayUnit:
    """Return how a metric of training is shown, by its name."""
    if name.startswith(_SHARES):
        return DisplayUnit("%", 100.0)
    if name in _UNITS:
        return DisplayUnit(_UNITS[name])
    if name.startswith("time/"):
        return DisplayUnit("s")
    unit = name.rpartition("_")[2]
    if name.startswith(("tracking/", "adapt/")) and unit in ("m", "rad"):
        return of_unit(unit)
    return DisplayUnit()


def of_unit(unit: str) -> DisplayUnit:
    """Return how a metric with a declared unit is shown."""
    factor, shown = _SHORT.get(unit, (1.0, unit))
    return DisplayUnit(shown.replace("^2", "²"), factor)
