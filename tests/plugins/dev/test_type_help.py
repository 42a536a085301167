"""Every type that a contract names is described, field by field."""

from __future__ import annotations

import inspect

from mtrack.api import abilities, deployment, lifecycle
from mtrack.api.kinds import KINDS
from mtrack_dev.guide import ContractHelp
from mtrack_dev.type_help import known_types


def test_every_field_of_a_type_in_a_contract_has_a_help_text():
    for name in (
        "Clip",
        "StartState",
        "Mirror",
        "Rollout",
        "Metrics",
        "Requirements",
        "Layout",
        "RobotModel",
        "PhysicsPlan",
        "RobotTerm",
        "RobotAction",
        "ReferenceClip",
    ):
        members = known_types()[name].members
        assert members
        assert [member for member, text in members.items() if not text] == [], name


def test_a_contract_explains_how_to_declare_fields():
    text = ContractHelp.of("reward").text()
    assert all(f"= {role}(" in text for role in ("param", "state", "scratch"))


def test_every_optional_method_belongs_to_a_kind_and_is_described_there():
    protocols = {
        value
        for module in (lifecycle, abilities, deployment)
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == module.__name__ and getattr(value, "_is_protocol", False)
    }
    assert protocols == abilities.OFFERED_BY.keys()
    assert {kind for kinds in abilities.OFFERED_BY.values() for kind in kinds} <= KINDS.keys()
    for kind in KINDS:
        offered = sum(kind in kinds for kinds in abilities.OFFERED_BY.values())
        assert offered <= len(ContractHelp.of(kind).optional)
