"""The NextTokenExplorer answers to typing, clicks, keys, sliders and nonsense, also while something trains."""

import json

import nbformat.v4 as nbf
import pytest

from tests.browser.measurements import record_measurement

WIDGET = '[data-widget="NextTokenExplorer"]'
REQUEST = f"document.querySelector('{WIDGET}').dataset.request"
SEED = f"document.querySelector('{WIDGET} .seed').value"
CELL = """
import torch
from lmcore import checkpoints
from lmcore.data import corpus
from lmcore.models import Recurrent, RecurrentConfig
from lmcore.models.ngram import NGram
from lmcore.data.mixtures import as_tokens
from widgets import NextTokenExplorer
base = checkpoints.load("base")
tokens = as_tokens(list(corpus.chitchat()["train"]["text"][:200]), base.tokenizer)
trigram = NGram(3, base.tokenizer.vocab_size).fit(tokens)
lstm = Recurrent(RecurrentConfig(base.tokenizer.vocab_size), torch.Generator().manual_seed(0))
"""
SHOW = """
explorer = NextTokenExplorer({"3-gram": trigram, "LSTM": lstm, "GPT": base.model}, base.tokenizer, "I have a dog and a")
explorer
"""
TRAIN = """
import time
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PretrainConfig, PretrainTrainer
from widgets import LiveTraining
small = Transformer(TransformerConfig(base.tokenizer.vocab_size))
live = LiveTraining(PretrainTrainer(small, tokens, PretrainConfig()), steps=100_000)
live.play()
while len(live.history) < 2: time.sleep(0.1)
"""
SENTENCE = "The weather today is lovely, and my friend wants to go out."


class Explorer:
    """The widget in a notebook of its own, with three models side by side."""

    def __init__(self, lesson, subshells: bool = True):
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [nbf.new_code_cell(source) for source in (CELL, SHOW)]
        notebook = nbf.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        self.lesson = lesson("trial", watch=(WIDGET,), subshells=subshells, notebook=notebook)
        self.lesson.run_all()
        self.widget = self.lesson.widget("NextTokenExplorer").first
        self.box, self.message = self.widget.get_by_label("Your text"), self.widget.locator(".fbc-message")

    def after(self, act, event: str = "click", read: str = REQUEST) -> float:
        """Does something and waits for the picture that answers; milliseconds."""
        return self.lesson.reaction(act, read=read, event=event)

    def type(self, text: str) -> None:
        self.after(lambda: self.box.fill(text), "input")

    def press(self, do: str, model: str | None = None) -> None:
        place = self.widget.locator(f"[data-model='{model}']") if model else self.widget
        self.after(place.locator(f"[data-do={do}]").click)

    def slide(self, setting: str, key: str, times: int = 1) -> list[float]:
        self.widget.locator(f"[data-setting={setting}]").focus()
        return [self.after(lambda: self.lesson.page.keyboard.press(key), "keydown") for _ in range(times)]

    def rows(self, model: str, what: str) -> list[str]:
        """One attribute of a model's candidates, in the order in which they stand there."""
        return self.widget.locator(f"[data-model='{model}'] .candidate").evaluate_all(
            "(buttons, what) => buttons.map(button => button.dataset[what])", what
        )

    def of(self, model: str, what: str) -> float:
        return float(self.widget.locator(f"[data-model='{model}']").get_attribute(f"data-{what}"))

    def kernel(self, expression: str):
        return json.loads(self.lesson.run_source(f"import json; print(json.dumps({expression}))"))


@pytest.mark.parametrize("subshells", [True, False])
def test_a_learner_types_clicks_and_draws(lesson, subshells):
    explorer = Explorer(lesson, subshells)
    record_measurement("NextTokenExplorer, cell to visible", [explorer.lesson.first_seen(WIDGET)], unit="s")
    assert explorer.widget.locator("[data-model]").count() == 3

    explorer.type("The capital of France is")
    assert explorer.kernel("explorer.text") == "The capital of France is"
    shown = explorer.rows("GPT", "token")
    assert shown == explorer.kernel("[one.token for one in explorer.outlooks['GPT'].candidates]")
    best = explorer.widget.locator("[data-model=GPT] .candidate").first
    explorer.after(best.click)
    assert explorer.box.input_value() == "The capital of France is" + shown[0]
    assert explorer.rows("GPT", "token") != shown

    third = explorer.rows("3-gram", "token")[2]
    before = explorer.box.input_value()
    explorer.widget.locator("[data-model='3-gram'] .candidate").first.focus()
    explorer.after(lambda: explorer.lesson.page.keyboard.press("3"), "keydown")
    assert explorer.box.input_value() == before + third
    explorer.lesson.page.keyboard.press("ArrowDown")  # the focus came back to the third row
    fourth = explorer.rows("3-gram", "token")[3]
    explorer.after(lambda: explorer.lesson.page.keyboard.press("Enter"), "keydown")
    assert explorer.box.input_value() == before + third + fourth
    explorer.press("back")
    explorer.press("back")
    assert explorer.box.input_value() == before

    seed = explorer.widget.locator(".seed")
    assert seed.input_value() == "0"
    explorer.press("draw", "3-gram")
    explorer.widget.locator(".drawn", has_text="3-gram drew").wait_for()
    drawn = explorer.box.input_value()
    assert explorer.kernel("explorer.seed") == 1 and seed.input_value() == "1"
    explorer.type(before)
    seed.fill("0")
    explorer.after(lambda: seed.press("Enter"), "keydown")
    explorer.press("draw", "3-gram")
    assert explorer.box.input_value() == drawn, "the same seed draws the same"

    explorer.press("restart")
    assert explorer.box.input_value() == "I have a dog and a" and seed.input_value() == "0"
    explorer.press("write")
    written = explorer.widget.locator(".written")
    assert written.count() == 3
    first = [one.locator("b").inner_text() for one in written.all()]
    explorer.press("write")
    assert [one.locator("b").inner_text() for one in written.all()] != first, "another seed writes something else"
    kept = explorer.widget.locator("[data-model=GPT] .written b").text_content()
    explorer.press("keep", "GPT")
    assert explorer.box.input_value() == "I have a dog and a" + kept and written.count() == 0


def test_sliders_cut_and_show_what_they_cut(lesson):
    explorer = Explorer(lesson)
    sure = explorer.of("GPT", "entropy")
    explorer.slide("temperature", "ArrowLeft", 6)
    assert explorer.kernel("explorer.temperature") == pytest.approx(0.7)
    assert explorer.of("GPT", "entropy") == sure > explorer.of("GPT", "entropy-drawn")
    explorer.slide("temperature", "ArrowRight", 12)
    assert explorer.of("GPT", "entropy-drawn") > sure
    explorer.slide("temperature", "Home")
    assert explorer.of("GPT", "kept") == 1 and float(explorer.rows("GPT", "after")[0]) == 1
    explorer.press("restart")
    assert explorer.kernel("explorer.temperature") == 1

    assert explorer.of("LSTM", "cut") == 0 and explorer.widget.locator(".candidate.cut").count() == 0
    explorer.slide("top_k", "Home")
    explorer.slide("top_k", "ArrowRight", 3)
    assert explorer.kernel("explorer.top_k") == 5 == explorer.of("GPT", "kept")
    before = list(map(float, explorer.rows("GPT", "before")))
    after = list(map(float, explorer.rows("GPT", "after")))
    assert sum(after) == pytest.approx(1, abs=1e-4) and after[5:] == [0] * 5
    assert explorer.of("GPT", "cut") == pytest.approx(1 - sum(before[:5]), abs=1e-4)
    assert explorer.widget.locator("[data-model=GPT] .candidate.cut").count() == 5
    widths = explorer.widget.locator("[data-model=LSTM] .mass span").evaluate_all(
        "parts => parts.map(part => parseFloat(part.style.width) / 100)"
    )
    assert sum(widths) == pytest.approx(1, abs=0.001) and widths[2] == pytest.approx(
        explorer.of("LSTM", "cut"), abs=1e-3
    )
    assert "cut away" in explorer.widget.locator("[data-model=LSTM] .tell").inner_text()
    explorer.slide("top_k", "End")
    explorer.slide("top_p", "ArrowLeft", 10)
    assert explorer.kernel("explorer.top_p") == pytest.approx(0.5) and 0 < explorer.of("3-gram", "cut") <= 0.5

    own = [explorer.rows(name, "token") for name in ("3-gram", "GPT")]
    explorer.after(explorer.widget.get_by_role("radio", name="the same tokens for all").click)
    assert own[0] != own[1] and explorer.rows("3-gram", "token") == explorer.rows("GPT", "token")
    reactions = explorer.slide("temperature", "ArrowLeft", 10) + explorer.slide("temperature", "ArrowRight", 10)
    record_measurement("NextTokenExplorer, slider to picture", reactions)


@pytest.mark.parametrize("training", [False, True])
def test_typing_shows_a_new_distribution_at_once(lesson, training):
    explorer = Explorer(lesson)
    if training:
        assert explorer.lesson.run_source(TRAIN, seconds=120) == ""
    explorer.type("Well, ")
    explorer.box.press("End")
    for key in "I ":  # the first answers, with everything cold
        explorer.after(lambda key=key: explorer.lesson.page.keyboard.press(key), "input")
    keys = [explorer.after(lambda key=key: explorer.lesson.page.keyboard.press(key), "input") for key in SENTENCE]
    assert explorer.widget.get_attribute("data-text") == "Well, I " + SENTENCE
    record_measurement(f"NextTokenExplorer, typing to new distribution{', something trains' * training}", keys)
    if training:
        assert explorer.kernel("live.state") == "running"
        explorer.lesson.run_source("live.stop()")


def test_fast_typing_ends_with_the_last_text(lesson):
    explorer = Explorer(lesson)
    explorer.type("")
    explorer.box.press_sequentially(SENTENCE, delay=0)
    explorer.lesson.page.wait_for_selector(f'{WIDGET}[data-text="{SENTENCE}"]')
    assert explorer.box.input_value() == SENTENCE == explorer.kernel("explorer.text")
    for _ in range(5):  # faster than the kernel: each draw continues what the one before it left
        explorer.widget.locator("[data-model=LSTM] [data-do=draw]").click()
    explorer.lesson.page.wait_for_function(f"() => {SEED} === '5'")
    text = explorer.kernel("explorer.text")
    explorer.lesson.page.wait_for_function("text => document.querySelector('textarea').value === text", arg=text)
    assert text.startswith(SENTENCE) and len(text) > len(SENTENCE)


def test_nonsense_is_answered_by_a_sentence(lesson):
    explorer = Explorer(lesson)
    explorer.type("")
    assert "no text yet" in explorer.message.inner_text() and explorer.rows("GPT", "token")
    explorer.type("word " * 400)
    assert "the models read the last 256" in explorer.message.inner_text()
    html = '<img src=x onerror="window.hacked = true"> <b>bold</b>'
    explorer.type(html)
    explorer.press("write")
    assert explorer.box.input_value() == html
    assert explorer.widget.locator("img, b b").count() == 0 and not explorer.lesson.page.evaluate("() => window.hacked")
    explorer.type("<|endoftext|> 🦜 你好")
    assert explorer.message.inner_text() == ""
    for nonsense in ("-1", "banana", "<b>1</b>", "9" * 40):
        explorer.widget.locator(".seed").fill(nonsense)
        explorer.widget.locator(".seed").press("Enter")
        explorer.message.filter(has_text=f"“{nonsense[:40]}” is no seed").wait_for(timeout=10_000)
        assert explorer.kernel("explorer.seed") == 1
    explorer.lesson.run_source("import torch; healthy = base.model.norm.weight.data.clone()")
    explorer.lesson.run_source("base.model.norm.weight.data.fill_(float('nan'))")
    explorer.type("Broken")
    assert "diverged" in explorer.message.inner_text()
    explorer.lesson.run_source("base.model.norm.weight.data = healthy")
    explorer.type("And it still works")
    assert explorer.message.inner_text() == "" and len(explorer.rows("GPT", "token")) == 10
