"""A chat with one or several stages side by side: they answer token by token, and show what they really read.

A stage reads one row of token ids, in which special tokens say who speaks; static/chat_box.js draws both, the
conversation and the row. The models answer one after the other, in one thread.
"""

import threading
import time
from collections.abc import Mapping, Sequence

import anywidget
import traitlets

from lmcore.answers import UNALIGNED
from lmcore.chat import LONGEST, Conversation
from lmcore.checkpoints import Stage
from lmcore.data.tokenizer import SPECIAL_TOKENS
from lmcore.models import generate
from widgets import theme

PAUSE = 0.06  # seconds between two pictures while somebody speaks


class Enough(Exception):
    """Raised inside `generate` when an answer is broken off."""


class Speaker:
    """One stage, what was said with it, and the tokens it read and wrote for its latest answer."""

    def __init__(self, name: str, stage: Stage, system: str = "", seed: int | None = None):
        self.name, self.stage = name, stage
        self.conversation = Conversation(stage, seed=seed, system=system)
        self.read: list[int] = []
        self.wrote: list[int] = []
        self.speaking = False
        self.answers: list[dict] = []  # all of them: {"text", "stopped"}; the conversation forgets the oldest

    @property
    def said(self) -> str:
        """What it has said of its answer so far."""
        text = self.stage.tokenizer.decode(self.wrote).strip()
        return text.split("\n")[0].strip() if self.stage.name in UNALIGNED else text

    def answer(self, temperature: float, top_p: float, on_token, stop: threading.Event) -> None:
        """Write the answer to what was read, calling `on_token` after each token; `stop` breaks it off."""
        tokenizer, unaligned = self.stage.tokenizer, self.stage.name in UNALIGNED
        self.wrote = []

        def heard(column) -> None:
            self.wrote.append(int(column[0]))
            on_token()
            page_goes_on = unaligned and "\n" in tokenizer.decode(self.wrote).strip()
            if stop.is_set() or page_goes_on:
                raise Enough

        stop_id = tokenizer.eot_id if unaligned else tokenizer.end_id
        cuts = {"temperature": temperature, "top_p": top_p, "generator": self.conversation.generator}
        try:
            if stop.is_set():  # while another stage spoke
                raise Enough
            generate(self.stage.model, [self.read], LONGEST, stop_id=stop_id, on_token=heard, **cuts)
        except Enough:
            pass
        finally:
            self.answers.append({"text": self.said, "stopped": stop.is_set()})
            self.conversation.messages.append({"role": "assistant", "content": self.said})

    def seen(self) -> list[dict]:
        """Every token of the row it works on: {"id", "text", "special", "wrote"}."""
        ids = [*self.read, *self.wrote]
        pieces = self.stage.tokenizer.pieces(ids)
        return [
            {"id": id, "text": piece, "special": id < len(SPECIAL_TOKENS), "wrote": place >= len(self.read)}
            for place, (id, piece) in enumerate(zip(ids, pieces, strict=True))
        ]

    def picture(self) -> dict:
        """What the page needs to draw it."""
        now = [{"text": self.said, "stopped": False}] if self.speaking else []
        colour = self.stage.name.split("_")[0]
        return {
            "name": self.name,
            "colour": colour if colour in theme.COLOURS else "gold",
            "speaking": self.speaking,
            "answers": self.answers + now,
            "remembers": sum(one["role"] == "user" for one in self.conversation.messages),
            "tokens": self.seen(),
            "longest": getattr(self.stage.model.config, "context_length", None),
        }


class ChatBox(anywidget.AnyWidget):
    """Talk with one stage, or with several at once and see how they differ; Enter sends, Stop breaks off.

    Args: stages: stages, or a mapping of the names to show to stages; system: what is said to the models before
        anything else; suggestions: sentences to try, one button each; temperature: 0 (always the most probable token)
        to 2; top_p: above 0 to 1; seed: the same answers every time (None: other ones).
    A stage that only ever continued texts (base) is given a page of questions to continue. What cannot be answered is
    answered by a sentence in the widget, readable as `.message`; raises ValueError without stages, or for one that
    fills blanks; a number out of range raises traitlets.TraitError.
    """

    _esm = theme.esm("chat_box")
    _css = theme.css("chat_box")

    temperature = traitlets.Float(0.7, min=0, max=2).tag(sync=True)
    top_p = traitlets.Float(1.0, max=1).tag(sync=True)
    system = traitlets.Unicode().tag(sync=True)
    suggestions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _wish = traitlets.Dict().tag(sync=True)  # the page's: {"do": "say" | "stop" | "new", "text": ..., "request": ...}
    _picture = traitlets.Dict().tag(sync=True)

    def __init__(self, stages: Mapping[str, Stage] | Sequence[Stage], seed: int | None = None, **traits):
        named = dict(stages) if isinstance(stages, Mapping) else {stage.name: stage for stage in stages}
        if not named:
            raise ValueError("nobody to talk with: give at least one stage, such as checkpoints.load('sft')")
        self._stages, self._seed = named, seed
        self.message, self.state = "", "idle"
        self._request = 0  # of the latest wish
        self._drawn = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()  # held while state changes or a picture is sent, never while a model computes
        super().__init__(**traits)
        self._begin()
        self.observe(self._fulfil, "_wish")
        self.observe(lambda _change: self.new(), "system")
        self._draw()

    def __repr__(self) -> str:
        return "ChatBox()"

    @traitlets.validate("top_p")
    def _some_probability(self, proposal):
        if not proposal.value > 0:
            raise traitlets.TraitError(f"top_p={proposal.value} would keep nothing: it is above 0, and at most 1")
        return proposal.value

    @property
    def transcript(self) -> dict[str, list[dict[str, str]]]:
        """What was said with each stage: messages, {"role", "content"}, also those that it has forgotten."""
        said = {}
        for one in self.speakers:
            turns = zip(self._said, one.answers, strict=False)
            roles = [(("user", you), ("assistant", answer["text"])) for you, answer in turns]
            said[one.name] = [{"role": role, "content": text} for turn in roles for role, text in turn]
        return said

    def say(self, text: str) -> dict[str, str]:
        """Say something to all stages, wait, and return their answers. Raises: ValueError if it cannot be said."""
        if complaint := self._start(text):
            raise ValueError(complaint)
        self.wait()
        return {one.name: one.answers[-1]["text"] for one in self.speakers}

    def stop(self) -> None:
        """Break off the answers; what was said so far stays."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nobody speaks; False if that took longer than `timeout` seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def new(self) -> None:
        """Forget the conversation and begin a new one."""
        self.stop()
        self.wait(5)
        with self._lock:
            self.message, self.state = "", "idle"
            self._begin()
            self._draw()

    def _begin(self) -> None:
        self._said: list[str] = []
        self.speakers = [Speaker(name, stage, self.system, self._seed) for name, stage in self._stages.items()]

    def _start(self, text: str) -> str:
        """Begin to answer; returns a sentence if that is not possible."""
        with self._lock:
            if self.state == "running":
                return "They are still answering: wait, or press Stop first."
            if not text.strip():
                return "There is nothing to answer yet: type something first."
            before = [one.conversation.messages for one in self.speakers]
            try:
                reads = [one.conversation.hear(text.strip()) for one in self.speakers]
            except ValueError as error:
                for one, messages in zip(self.speakers, before, strict=True):  # all heard it, or nobody
                    one.conversation.messages = messages
                reason = str(error)
                return reason[0].upper() + reason[1:] + "."
            for one, ids in zip(self.speakers, reads, strict=True):
                one.read, one.wrote = ids, []
            self._said.append(text.strip())
            self._stop.clear()
            self.message, self.state = "", "running"
            self._thread = threading.Thread(target=self._answer, name="chat", daemon=True)
            self._thread.start()
            return ""

    def _answer(self) -> None:
        state, message = "done", ""
        for one in self.speakers:
            one.speaking = True
            try:
                one.answer(self.temperature, self.top_p, self._draw_soon, self._stop)
            except Exception as error:  # whatever a learner's own model may raise: shown, never printed
                state, message = "failed", f"{one.name} could not answer: {error} ({type(error).__name__})."
            one.speaking = False
        with self._lock:
            self.state, self.message = state, message
            self._draw()

    def _fulfil(self, change) -> None:
        """Do what the page asked for, once."""
        wish = change["new"]
        with self._lock:
            if wish.get("request", 0) == self._request:
                return
            self._request = wish["request"]
        match wish.get("do"):
            case "say":
                complaint = self._start(wish["text"])
                with self._lock:
                    self.message = complaint or self.message
                    self._draw()
            case "stop":
                self.stop()
            case "new":
                self.new()

    def _draw_soon(self) -> None:
        if time.monotonic() - self._drawn > PAUSE:
            with self._lock:
                self._draw()
            time.sleep(0.001)  # a click on Stop gets its turn

    def _draw(self) -> None:
        self._picture = {
            "request": self._request,
            "state": self.state,
            "message": self.message,
            "said": list(self._said),
            "speakers": [one.picture() for one in self.speakers],
        }
        self._drawn = time.monotonic()

    def figure(self):
        """The conversation as a plotly table: what was said, and one column of answers a stage."""
        from html import escape

        import plotly.graph_objects as go

        columns = {"you": self._said} | {one.name: [answer["text"] for answer in one.answers] for one in self.speakers}
        cells = {"values": [[escape(text) for text in column] for column in columns.values()]}
        look = {"align": "left", "fill_color": "rgba(0,0,0,0)"}
        header = {"values": [f"<b>{escape(name)}</b>" for name in columns], "align": "left"}
        header["fill_color"] = "rgba(127,127,127,0.15)"
        layout = theme.LAYOUT | {
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "height": 80 + 60 * max(len(self._said), 1),
        }
        return go.Figure(go.Table(cells=cells | look, header=header), layout=layout)
