"""Lint of the lessons: what nbval would not notice, and the shape that all lessons share."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from benchmarks import tax

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "course").rglob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if re.match(r"(0[1-9]|1[01])_", path.name)]
PARTS = ("question", "predict", "see", "build", "experiment", "verdict", "exercise", "in the real world", "teacher")
OF_A_MACHINE = re.compile(r"/home/|/root/|/Users/|/work/|/tmp/|site-packages|[A-Z]:\\+Users")
EXTERNAL_IMAGE = re.compile(r"!\[[^]]*\]\(\s*(?:https?:)?//|<img[^>]+src=\\?[\"']?(?:https?:)?//", re.IGNORECASE)
LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)|(?:href|src)=[\"']([^\"']+)[\"']")
HEADING = re.compile(r"^#{1,6} +(.+?) *$|<summary>(.*?)</summary>", re.MULTILINE | re.DOTALL)
LARGEST = 1_500_000  # bytes
LONGEST = 20  # lines of code in a cell

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    return [cell for cell in notebook.cells if cell.cell_type == kind and cell.source.strip()]


def text(path: Path) -> str:
    """All markdown of a notebook without its code blocks."""
    return re.sub(
        r"^```.*?^```", "", "\n\n".join(cell.source for cell in cells(path, "markdown")), flags=re.MULTILINE | re.DOTALL
    )


def headings(path: Path) -> list[str]:
    """Headings, and the titles of what can be unfolded, in order and without markup."""
    found = ("".join(both) for both in HEADING.findall(text(path)))
    return [re.sub(r"<[^>]+>|[*_`]", "", one).strip() for one in found]


@every_notebook
def test_notebook_is_valid(path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5), "cells have no ids before nbformat 4.5"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata, "saved with widget state; run `make lessons`"
    assert path.stat().st_size < LARGEST


@every_notebook
def test_every_cell_was_run_in_order(path):
    counts = [cell.execution_count for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1)), "nbval does not compare cells that were never run: `make lessons`"


@every_notebook
def test_no_cell_failed(path):
    for cell in cells(path, "code"):
        assert not [out for out in cell.outputs if out.output_type == "error"], cell.source


@every_notebook
def test_cells_are_short(path):
    for cell in cells(path, "code"):
        assert len(cell.source.splitlines()) <= LONGEST, f"longer than {LONGEST} lines:\n{cell.source}"


@every_notebook
def test_outputs_tell_nothing_of_the_machine(path):
    for cell in cells(path, "code"):
        found = OF_A_MACHINE.search(json.dumps(cell.outputs))
        assert not found, f"{found.group()} in the output of\n{cell.source}"


@every_notebook
def test_links_resolve(path):
    anchors = {re.sub(r"\s", "-", one) for one in headings(path)} | set(re.findall(r"\bid=[\"']([^\"']+)", text(path)))
    for link in ("".join(both) for both in LINK.findall(text(path))):
        if re.match(r"https?:|mailto:|attachment:|data:", link):
            continue
        target, _, anchor = link.partition("#")
        assert not target or (path.parent / target).exists(), f"{path.name} links to {link}"
        assert target or anchor in anchors, f"{path.name} links to #{anchor}, which is none of {sorted(anchors)}"


@every_notebook
def test_no_picture_comes_from_elsewhere(path):
    everything = text(path) + json.dumps([cell.outputs for cell in cells(path, "code")])
    assert not EXTERNAL_IMAGE.search(everything)


@every_lesson
def test_lesson_has_its_nine_parts_in_order(path):
    left = found = [one.lower() for one in headings(path)]
    for part in PARTS:
        where = next((place for place, one in enumerate(left) if re.search(rf"\b{part}", one)), None)
        assert where is not None, f"{path.name}: no heading for the part {part!r} where it belongs among {found}"
        left = left[where + 1 :]


def test_lesson_05_says_how_much_was_hidden_from_its_model():
    card = json.loads((ROOT / "lmcore" / "stages" / "mlm.json").read_text("utf-8"))["card"]
    text = (ROOT / "course" / "05_masked_language_models.ipynb").read_text("utf-8")
    assert f"it was trained with {card['trainer_config']['mask_rate']:.0%} hidden".replace("%", " %") in text


LESSON_10 = (ROOT / "course" / "10_alignment_and_capability.ipynb").read_text("utf-8")


def test_lesson_10_says_what_was_measured_of_the_small_aligned_model():
    found = json.loads((ROOT / "benchmarks" / "alignment.json").read_text("utf-8"))
    scores, won = found["scores"], found["preferred"]["small_rlhf to base"]
    known = scores["small_rlhf"]["facts recalled"]["value"] / scores["base"]["facts recalled"]["value"]
    assert "knows a third of the facts" in LESSON_10 and 0.28 < known < 0.39
    share, low, high = (round(100 * won[name]) for name in ("share", "low", "high"))
    assert f"over 600 prompts, {share} % ({low} to {high};" in LESSON_10


def test_lesson_10_says_what_a_leash_and_pretraining_text_won_back():
    results = json.loads((ROOT / "benchmarks" / "tax.json").read_text("utf-8"))
    back = {(run["kl_coef"], run["ptx_coef"]): tax.won_back(results, run, tax.ROWS[1]) for run in results["runs"]}
    assert f"`kl_coef` 1.0 instead of 0.3 won back {100 * back[1.0, 0.0]:.0f} %" in LESSON_10
    assert f"`ptx_coef` 0.1 won back {100 * back[0.3, 0.1]:.0f} %" in LESSON_10
