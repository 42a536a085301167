"""The report in a real browser: it requests nothing, fits a phone, and hover, search, sort and 3D work."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.browser import Browser, Tab
from support.invented_run import CLIPS, TERMS, invented_run

from mtrack_report.comparison import comparison_page
from mtrack_report.page import run_page
from mtrack_report.run_facts import read_run
from mtrack_report.viewer import viewer_of

WIDTH = "[document.documentElement.scrollWidth, innerWidth]"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of the report of an invented run, with replays."""
    run = read_run(invented_run(tmp_path_factory.mktemp("report") / "run"))
    file = run.directory / "report.html"
    file.write_text(run_page(run, viewer_of(run)), "utf-8")
    return file.as_uri()


def hover(tab: Tab, name: str) -> str:
    """Move the pointer to the right end of a chart and return what is shown."""
    chart = tab.page.locator(f'svg[data-chart="{name}"]')
    chart.scroll_into_view_if_needed()
    chart.hover(position={"x": chart.bounding_box()["width"] - 12, "y": 60})
    return str(tab.page.locator(".tip").inner_text())


def test_a_hover_shows_the_value(browser: Browser, page: str) -> None:
    tab = browser.open(page)
    first, second = hover(tab, "tracking/root_pos_m"), hover(tab, f"reward/tracking/{TERMS[39]}")
    assert first.splitlines()[0] == "1,000 frames, finetune"
    assert first.splitlines()[1] == "250 mm"
    assert second.splitlines()[1] == "39", "term 39 in iteration 2 is 39.02"
    tab.assert_clean()


def test_search_finds_a_term_in_a_folded_group(browser: Browser, page: str) -> None:
    tab = browser.open(page)
    tab.page.fill("#search", "rollout")
    assert tab.page.locator("figure[data-name]:visible").evaluate_all("all => all.map(one => one.dataset.name)") == [
        "time/rollout"
    ]
    tab.page.fill("#search", "")
    assert tab.page.locator("figure[data-name]:visible").count() >= len(TERMS)


def test_a_click_on_a_heading_sorts_and_unknown_values_come_last(browser: Browser, page: str) -> None:
    tab = browser.open(page)
    heading = tab.page.locator(".clips th", has_text="mpkpe local")
    clips = tab.page.locator(".clips tbody td:first-child b")
    assert clips.all_inner_texts() == list(CLIPS), "worst first"
    heading.click()
    assert clips.all_inner_texts() == [CLIPS[1], CLIPS[0], CLIPS[2]], "largest error first"
    heading.click()
    assert clips.all_inner_texts() == [CLIPS[0], CLIPS[1], CLIPS[2]]
    assert tab.page.evaluate("window.hacked") is None, "a hostile name runs nothing"


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_need_not_scroll_sideways(browser: Browser, page: str, dark: bool) -> None:
    tab = browser.open(page, width=390, height=844, dark=dark)
    tab.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert tab.page.evaluate(WIDTH) == [390, 390]
    tab.assert_clean()


def test_it_is_dark_where_the_browser_is_and_the_button_changes_that(browser: Browser, page: str) -> None:
    def brightness(tab: Tab) -> float:
        return float(tab.pixels()[-20:, :20].mean())

    light, dark = browser.open(page), browser.open(page, dark=True)
    assert brightness(light) > 200.0
    assert brightness(dark) < 60.0
    dark.page.click("#theme")
    assert brightness(dark) > 200.0


def test_without_javascript_everything_else_is_there(browser: Browser, page: str, tmp_path: Path) -> None:
    html = Path(page.removeprefix("file://")).read_text("utf-8")
    (tmp_path / "still.html").write_text(html.replace("<script>", "<script type='text/plain'>"), "utf-8")
    tab = browser.open((tmp_path / "still.html").as_uri())
    assert tab.page.locator("svg[data-chart]:visible").count() >= len(TERMS)
    assert tab.page.locator(".script-only:visible").count() == 0, "no button that does nothing"


def test_a_comparison_shows_both_values_under_the_pointer(browser: Browser, page: str, tmp_path: Path) -> None:
    runs = [read_run(invented_run(tmp_path / name)) for name in ("one", "two")]
    (tmp_path / "both.html").write_text(comparison_page({"runs": {run.name: run for run in runs}}), "utf-8")
    tab = browser.open((tmp_path / "both.html").as_uri(), width=390)
    assert [line.split(":")[0] for line in hover(tab, "tracking/root_pos_m").splitlines()[1:]] == ["one", "two"]
    assert tab.page.evaluate(WIDTH) == [390, 390]
    tab.assert_clean()


def test_a_replay_starts_and_plays(browser: Browser, page: str) -> None:
    tab = browser.open(page, width=390, height=300)
    tab.page.evaluate("document.documentElement.style.setProperty('--view-height', '160px')")
    tab.page.locator(".view button").first.click()
    viewer = tab.page.frame_locator(".view iframe")
    tab.wait_for(viewer.locator("canvas").count, "the viewer starts")
    times: list[str] = []

    def plays() -> bool:
        times.append(viewer.locator("input").first.input_value())  # the time of the frame that is shown
        return len(set(times)) > 1

    tab.wait_for(plays, "the replay plays")
    tab.assert_clean()
