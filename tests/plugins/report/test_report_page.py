"""The page of a run: complete, self-contained, safe against names that contain markup, and tolerant of damage."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.invented_run import CLIPS, HOSTILE, TERMS, invented_run, metrics

from mtrack import MtrackError
from mtrack_log.jsonl import read_jsonl, to_line
from mtrack_report.changes import changes
from mtrack_report.history import MOST_POINTS, read_history
from mtrack_report.page import run_page
from mtrack_report.replay_file import FOLDER
from mtrack_report.run_facts import read_run
from mtrack_report.words import Words


class Parsed(HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def count(self, tag: str) -> int:
        return Counter(name for name, _ in self.elements)[tag]

    def values(self, attribute: str) -> list[str]:
        return [value or "" for _, given in self.elements for name, value in given.items() if name == attribute]


@pytest.fixture
def page(run: Path) -> Parsed:
    return Parsed(run_page(read_run(run)))


def test_every_reward_term_and_error_has_a_curve(page: Parsed) -> None:
    drawn = page.values("data-chart")
    assert {f"reward/tracking/{term}" for term in TERMS} <= set(drawn)
    assert {"tracking/root_pos_m", "episode/completed", "time/rollout", "time/frames_per_s"} <= set(drawn)
    assert len(drawn) == len(set(drawn))


def test_rollbacks_are_listed_once_each_although_a_resumed_run_repeats_them(run: Path) -> None:
    facts = {"phase": "train", "number": 1, "iteration": 203, "target": "train-0000150", "reason": "<b>Skipped</b>"}
    line = json.dumps({**facts, "learning_rate_factor": 0.5})
    (run / "rollbacks.jsonl").write_text(f"{line}\n{line}\n{line[:20]}", "utf-8")
    words = "phase 'train' was rolled back after iteration 203 to train-0000150, learning rate halved: <b>Skipped</b>"
    assert Parsed(run_page(read_run(run))).texts.count(words) == 1


def test_names_that_contain_markup_stay_text(page: Parsed) -> None:
    assert HOSTILE in page.texts, "the clip is on the page, as text"
    assert f"clip/{HOSTILE}" in page.values("data-chart"), "and so is its curve"
    assert page.count("script") == 2, "the script of the page and its data"
    assert page.values("onerror") == []
    assert [
        given["src"] for tag, given in page.elements if tag == "img" and not (given["src"] or "").startswith("data:")
    ] == []


def test_the_page_requests_nothing(run: Path) -> None:
    html = run_page(read_run(run))
    page = Parsed(html)
    assert [link for link in page.values("href") if not link.startswith(("#", "data:"))] == []
    assert [link for link in page.values("src") if not link.startswith("data:")] == []
    assert re.findall(r"@import|url\((?!#)", html) == []
    assert page.count("link") == 1, "an empty icon, which browsers otherwise request"


def test_clips_are_listed_worst_first_beside_both_baselines(page: Parsed) -> None:
    text = " ".join(page.texts)
    places = [text.index(number) for number in ("30.0", "77.0", "97.0", "200")]
    assert places == sorted(places)
    assert "50 % of rollouts failed" in text


def test_a_summary_says_what_was_trained(page: Parsed) -> None:
    text = " ".join(page.texts)
    assert "The robot g1 was trained on 3 motions (6 s) in 3 phases" in text
    assert "Closeness of the root to its target position." in page.texts, "what a reward does, from its docstring"


def test_a_phase_that_ended_early_counts_as_a_whole(tmp_path: Path) -> None:
    until = 'phases.train.until.below."tracking/root_pos_m"=0.1'
    run = invented_run(tmp_path / "early", until)
    lines = [metrics(number, iterations=12) for number in range(1, 7)]
    (run / "metrics.jsonl").write_bytes(b"".join(map(to_line, [*lines, metrics(1, "adapt", 2, 600)])))
    (run / "status.json").write_text(json.dumps({"status": "interrupted"}), "utf-8")
    facts = read_run(run)
    assert [facts.done(name) for name in facts.planned] == [1.0, 0.5, 0.0]
    assert facts.ended_early() == ["train"]
    text = " ".join(Parsed(run_page(facts)).texts)
    assert "in phase adapt (2 of 3); phase train ended early" in text
    assert "50 %, ended early" in text


def test_changes_are_those_against_the_base_recipe(run: Path) -> None:
    facts = read_run(run)
    found = changes(facts, Words.read(facts.manifest["components"]))
    assert found.base == "g1_tracking.toml"
    by_path = {change.path: (change.old, change.new) for change in found.values}
    assert by_path["command.start_noise"] == ("1.0", "0.3"), "the default that the base uses"
    assert by_path["rewards.tracking.root_rot.weight"] == ("0.5", "1.0")
    assert "rewards.tracking.root_vel.weight" not in by_path
    assert "randomizations.body_mass" in found.switched_off


def test_changes_without_the_base_recipe_list_what_the_run_has_set(run: Path) -> None:
    text = (run / "recipe.toml").read_text("utf-8").replace("g1_tracking_quick.toml", "lost.toml")
    (run / "recipe.toml").write_text(text, "utf-8")
    facts = json.loads((run / "manifest.json").read_text("utf-8"))
    (run / "manifest.json").write_text(json.dumps(facts | {"recipe": "lost.toml"}), "utf-8")
    found = changes(read_run(run), Words.read(facts["components"]))
    assert found.base == ""
    assert ("command.start_noise", "", "0.3") in [(change.path, change.old, change.new) for change in found.values]


def test_a_long_run_has_few_points_whose_range_keeps_every_spike(tmp_path: Path) -> None:
    lines = [metrics(number, iterations=3000, spike=float(number == 1234)) for number in range(1, 3001)]
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(map(to_line, lines)))
    history = read_history(tmp_path / "metrics.jsonl")
    starts = history.starts()
    curve = history.curve("spike", starts)
    assert len(starts) == MOST_POINTS
    assert (curve.high.max(), curve.low.max(), curve.mean.max()) == (1.0, 0.0, pytest.approx(0.1))


def test_a_resumed_run_counts_each_iteration_once(run: Path) -> None:
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(to_line(metrics(2, "finetune", 2, 800, new=7.0)) + b'{"phase": "finetu')
    history, lines = read_history(run / "metrics.jsonl"), read_jsonl(run / "metrics.jsonl")
    assert len(history.frames) == len(lines) == 10
    assert history.last("new") == lines[-1].values["new"] == 7.0
    assert [stretch.phase for stretch in history.stretches] == ["train", "adapt", "finetune"]


@pytest.mark.parametrize(
    ("file", "content", "remark"),
    [
        ("metrics.jsonl", None, "[loggers.jsonl]"),
        ("metrics.jsonl", b"", "no complete line yet"),
        ("metrics.jsonl", b'{"phase": 1}\n', "not a record of metrics"),
        ("manifest.json", b"{", "There is no provenance"),
        ("eval_student.json", b"[]", "expected a JSON object"),
        (f"{FOLDER}/student_best.npz", b"PK", "damaged and left out"),
        ("status.json", None, "unknown"),
    ],
)
def test_what_is_missing_or_damaged_becomes_a_remark(run: Path, file: str, content: bytes | None, remark: str) -> None:
    (run / file).unlink()
    if content is not None:
        (run / file).write_bytes(content)
    assert remark in run_page(read_run(run))


def test_a_newer_checkpoint_than_the_evaluation_is_named(run: Path) -> None:
    (run / "checkpoints" / "finetune-0000009").mkdir()
    assert "The run has a newer checkpoint, finetune-0000009" in run_page(read_run(run))


def test_a_folder_that_is_no_run_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(MtrackError, match="not a run directory"):
        read_run(tmp_path)


def test_a_run_of_one_iteration_without_evaluation_has_a_page(tmp_path: Path) -> None:
    run = invented_run(tmp_path / "short")
    (run / "metrics.jsonl").write_bytes(to_line(metrics(1, nothing=float("nan"))))
    (run / "eval_student.json").unlink()
    text = " ".join(Parsed(run_page(read_run(run))).texts)
    assert "The run has not been evaluated" in text
    assert CLIPS[0] in text
