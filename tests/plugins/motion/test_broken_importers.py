"""A broken third-party importer is named and skipped; the others import the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.clips import swaying_clip
from support.foreign import write
from typer.testing import CliRunner

from mtrack_motion.cli import motions
from mtrack_motion.file import read_clip
from mtrack_testing import install

HEAD = '"""An importer."""\nfrom mtrack import component, param\n\n\n'
NAMED = "importer 'odd' (acme 1.0)"


def importer(recognises: str, clips: str = "return iter(())") -> str:
    return HEAD + (
        f'@component\nclass Odd:\n    """Odd."""\n\n    def recognises(self, path):\n        {recognises}\n\n'
        f"    def clips(self, path, robot):\n        {clips}\n"
    )


BROKEN = {
    "cannot be imported": ("import not_there\n" + importer('return ""'), "cannot be imported: ModuleNotFoundError"),
    "exits when imported": ("import sys\nsys.exit('no licence')\n", "cannot be imported: SystemExit: no licence"),
    "keeps no contract": (HEAD + "class Odd:\n    pass\n", "not made with @component"),
    "raises in recognises": (importer('raise ValueError("cannot read")'), "raised ValueError: cannot read"),
    "exits in recognises": (importer("raise SystemExit(3)"), "raised SystemExit: 3"),
    "returns None": (importer("return None"), "recognises() returned None, expected text"),
    "returns True": (importer("return True"), "recognises() returned True, expected text"),
    "cannot create": (
        importer("return ''").replace("def rec", "def __attrs_post_init__(self):\n        1 / 0\n\n    def rec"),
        "ZeroDivisionError",
    ),
}  # fmt: skip


def put(site: Path, module: str) -> None:
    install(site, "acme", {"mtrack.importers": {"odd": "acme_odd:Odd"}}, {"acme_odd.py": module})


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(motions, ["import", *map(str, arguments)])
    assert result.exit_code == code, (result.stderr, result.exception)
    return result.stderr


@pytest.mark.parametrize(("module", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_importer_is_named_once_and_listed_for_unrecognised_files(site, tmp_path, module, says):
    put(site, module)
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        write("GMR pkl", swaying_clip(10, name=name), folder)
    (folder / "noise.bin").write_bytes(bytes(range(256)))
    said = run(folder, "-o", tmp_path / "out", code=2).splitlines()
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.npz", "b.npz"]
    (warning,) = [line for line in said if line.startswith("skipped: ")]
    (error,) = [line for line in said if line.startswith("error: ")]
    assert str(folder / "noise.bin") in error
    for line in (warning, error):
        assert NAMED in line
        assert says in line


def test_a_broken_importer_neither_fails_an_import_nor_prints_to_stdout(site, tmp_path):
    put(site, "print('hello')\n" + importer('print("hello"); raise ValueError("cannot read")'))
    file = write("GMR pkl", swaying_clip(10, name="a"), tmp_path)
    result = CliRunner().invoke(motions, ["import", str(file), "-o", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0
    assert [entry["clip"] for entry in json.loads(result.stdout)] == ["a"]
    assert "hello" in result.stderr


CLAIMS = {
    "raises": ('raise KeyError("dof")', "raised KeyError: 'dof'"),
    "raises later": ('yield from ()\n        raise OSError("gone")', "raised OSError: gone"),
    "exits": ("raise SystemExit", "raised SystemExit"),
    "returns None": ("return None", "clips() returned None, expected motions"),
    "yields nothing": ("return iter(())", "found no motion in it"),
    "yields text": ('return iter(["walk"])', "clips() yielded a str, expected a Clip"),
    "yields bad clips": (
        "from mtrack.api.types import Clip\n        return iter([Clip('w', 30.0, ('a',), [[0.0]], None, 'x')])",
        "",
    ),
}


@pytest.mark.parametrize(("clips", "says"), CLAIMS.values(), ids=CLAIMS)
def test_an_importer_that_fails_on_its_file_is_an_error_of_that_file(site, tmp_path, clips, says):
    put(site, importer("return 'odd file' if path.suffix == '.odd' else ''", clips))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.odd").write_text("odd")
    write("GMR pkl", swaying_clip(10, name="b"), tmp_path / "in")
    said = run(tmp_path / "in", "-o", tmp_path / "out", code=2)
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert str(tmp_path / "in" / "a.odd") in line
    assert NAMED in line
    assert says in line
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["b.npz"]


@pytest.mark.parametrize("claim", ["return 'a file'", "return 'a table' if path.suffix in ('.csv', '.pkl') else ''"])
@pytest.mark.parametrize("name", ["GMR pkl", "Unitree csv"])
def test_an_importer_that_claims_files_by_their_name_yields_to_one_that_looks_at_the_content(
    site, tmp_path, claim, name
):
    put(site, importer(claim))
    file = write(name, swaying_clip(10, name="walk"), tmp_path)
    said = run(file, "-o", tmp_path / "out")
    assert f"{NAMED} was not used: it claims files with any content" in said
    assert len(read_clip(tmp_path / "out" / "walk.npz").root_pos) == 10


def test_two_importers_that_recognise_the_content_are_named_with_the_remedy(site, tmp_path):
    put(site, importer("return 'odd pickle' if path.read_bytes()[:1] == b'\\x80' else ''"))
    file = write("GMR pkl", swaying_clip(10, name="walk"), tmp_path)
    said = run(file, "-o", tmp_path / "out", code=2)
    assert "importer 'gmr' (mtrack " in said
    assert NAMED in said
    assert "--format gmr or --format odd" in said
    run(file, "-o", tmp_path / "out", "--format", "gmr")


def test_two_importers_with_the_same_name_are_both_tried(site, tmp_path):
    put(site, importer("return ''"))
    module = importer("return ''").replace("Odd", "Gmr")
    install(site, "rival", {"mtrack.importers": {"gmr": "rival_gmr:Gmr"}}, {"rival_gmr.py": module})
    file = write("GMR pkl", swaying_clip(10, name="walk"), tmp_path)
    run(file, "-o", tmp_path / "out")
