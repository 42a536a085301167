"""Groups of runs in one page: medians with ranges in charts and tables, and which differences exceed the spread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support.browser import Browser
from support.invented_evaluation import invented_evaluation
from support.invented_run import CLIPS, HOSTILE, invented_run, metrics

from mtrack.cli import main
from mtrack_log.jsonl import to_line
from mtrack_report.comparison import comparison_page, differ_in_seed_only
from mtrack_report.completion import evaluate_alike
from mtrack_report.run_facts import RunFacts, read_run
from mtrack_report.series import group_series

WIDTH = "[document.documentElement.scrollWidth, innerWidth]"


def seeds(folder: Path, levels: Sequence[float], *settings: str) -> dict[str, RunFacts]:
    """Write runs of one recipe that reach these errors [mm], and return them by name."""
    found = {}
    for number, level in enumerate(levels):
        run = invented_run(folder / f"seed_{number}", f"seed={number}", *settings)
        lines = [metrics(n, iterations=6, level=level + n) for n in range(1, 7)]
        (run / "metrics.jsonl").write_bytes(b"".join(map(to_line, lines)))
        errors = {clip: [level, level + 1.0] for clip in CLIPS}
        (run / "eval_student.json").write_text(json.dumps(invented_evaluation(run.name, errors)), "utf-8")
        found[f"{folder.name}/{run.name}"] = read_run(run)
    return found


@pytest.fixture
def groups(tmp_path: Path) -> dict[str, dict[str, RunFacts]]:
    """Return two groups of three runs: the errors of one are far below those of the other."""
    new = seeds(tmp_path / "new", (10.0, 12.0, 11.0))
    return {"new": new, "old": seeds(tmp_path / "old", (20.0, 24.0, 22.0), "rewards.tracking.root_pos.sigma=0.25")}


def test_a_line_is_the_median_of_the_runs_and_its_band_their_range(groups: dict[str, dict[str, RunFacts]]) -> None:
    series = group_series("new", list(groups["new"].values()))
    curve = series.curve("level")
    assert series.frames.tolist() == [100.0, 200.0, 300.0, 400.0, 500.0, 600.0]
    assert curve.mean.tolist() == [12.0, 13.0, 14.0, 15.0, 16.0, 17.0]
    assert (curve.low[0], curve.high[0], len(series.members("level"))) == (11.0, 13.0, 3)


def test_a_run_counts_up_to_its_last_frame_and_where_it_has_a_value(tmp_path: Path) -> None:
    runs = seeds(tmp_path / "new", (10.0, 12.0, 20.0))
    short, gap, _ = (run.directory / "metrics.jsonl" for run in runs.values())
    short.write_bytes(b"".join(to_line(metrics(n, level=10.0 + n)) for n in range(1, 4)))
    gap.write_bytes(b"".join(to_line(metrics(n, **({"level": 12.0 + n} if n != 2 else {}))) for n in range(1, 7)))
    curve = group_series("new", [read_run(run.directory) for run in runs.values()]).curve("level")
    expected = [np.median([11, 13, 21]), np.mean([12, 22]), np.median([13, 15, 23]), *(n + 16.0 for n in (4, 5, 6))]
    assert curve.mean.tolist() == expected
    assert curve.low.tolist() == [11.0, 12.0, 13.0, 16.0, 17.0, 18.0]


def test_two_groups_have_two_colours_and_the_page_says_which_differences_exceed_the_spread(
    groups: dict[str, dict[str, RunFacts]],
) -> None:
    html = comparison_page(groups)
    assert "Differences that exceed the spread: </b>mpkpe_local." in html
    assert "in 10 % of metrics by chance" in html
    assert "<small>10.5 to 12.5</small>" in html
    assert 'class="exceeds">exceeds' in html
    chart = html.partition('data-chart="level"')[0].rpartition("<svg")[2] + html.partition('data-chart="level"')[2]
    chart = chart.partition("</svg>")[0]
    assert chart.count('class="line run0"') == chart.count('class="line run1"') == 1
    assert chart.count('class="member run0"') == chart.count('class="band run1"') == 1
    assert "line run2" not in html
    assert "rewards.tracking.root_pos.sigma" in html
    assert "old/seed_0 → new/seed_0" in html
    assert "The runs of new differ in nothing but their seed." in html
    assert HOSTILE not in html


def test_runs_of_one_recipe_are_one_line_and_others_are_drawn_side_by_side(
    groups: dict[str, dict[str, RunFacts]],
) -> None:
    new, old = groups["new"], groups["old"]
    assert differ_in_seed_only(list(new.values()))
    alone = comparison_page({"new": new})
    assert "<h1>new: 3 runs</h1>" in alone
    assert 'class="line run1"' not in alone
    mixed = dict([*new.items()][:2]) | dict([*old.items()][2:])
    assert not differ_in_seed_only(list(mixed.values()))
    assert 'class="line run2"' in comparison_page({"runs": mixed})


def test_one_run_in_each_group_is_compared_without_a_verdict(groups: dict[str, dict[str, RunFacts]]) -> None:
    html = comparison_page({name: dict([*runs.items()][:1]) for name, runs in groups.items()})
    assert "There is no verdict with fewer than three runs in a group" in html
    assert "too few runs" in html
    assert "exceed the spread" not in html


def test_a_run_that_was_not_evaluated_is_named(groups: dict[str, dict[str, RunFacts]]) -> None:
    run = groups["old"]["old/seed_1"].directory
    (run / "eval_student.json").unlink()
    groups["old"]["old/seed_1"] = read_run(run)
    html = comparison_page(groups)
    assert "Not evaluated and left out here: <b>old/seed_1</b>" in html
    assert "too few runs" in html


def test_runs_are_evaluated_like_the_first_stored_evaluation(
    groups: dict[str, dict[str, RunFacts]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def evaluated(runs: list[Path], options: object) -> object:
        asked.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("mtrack_report.completion.evaluate_runs", evaluated)
    with pytest.raises(KeyboardInterrupt):
        evaluate_alike([run.directory for run in groups["new"].values()], (), allow_change=False)
    assert (asked[0].rollouts, asked[0].seed) == (2, 0)


def test_the_command_compares_folders_of_runs(
    groups: dict[str, dict[str, RunFacts]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "groups.html"
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path / "new"), "--no-eval", "-o", str(page), "--against", str(tmp_path / "old")])
    assert not ended.value.code, capsys.readouterr().err
    assert "new (3 runs) against old (3 runs)" in page.read_text("utf-8")


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_the_groups_and_their_values_under_the_pointer(
    groups: dict[str, dict[str, RunFacts]], browser: Browser, tmp_path: Path, dark: bool
) -> None:
    file = tmp_path / "groups.html"
    file.write_text(comparison_page(groups), "utf-8")
    tab = browser.open(file.as_uri(), width=390, height=844, dark=dark)
    tab.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert tab.page.evaluate(WIDTH) == [390, 390]
    chart = tab.page.locator('svg[data-chart="level"]')
    chart.scroll_into_view_if_needed()
    chart.hover(position={"x": chart.bounding_box()["width"] - 12, "y": 60})
    shown = tab.page.locator(".tip").inner_text().splitlines()
    assert shown == ["600 frames, train", "new (3 runs): 17 (16 to 18)", "old (3 runs): 28 (26 to 30)"]
    tab.assert_clean()
