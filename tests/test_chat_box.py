"""The ChatBox answers as `generate` would, stops, forgets and begins again; what is typed never becomes a command."""

import time
from dataclasses import replace

import pytest
import torch
import traitlets

from lmcore import checkpoints
from lmcore.answers import conversation_ids
from lmcore.chat import LONGEST
from lmcore.data.tokenizer import SPECIAL_TOKENS
from lmcore.models import Transformer, generate
from widgets import ChatBox


@pytest.fixture(scope="module")
def stages():
    return {"base": checkpoints.load("base"), "SFT": checkpoints.load("sft")}


def wish(chat: ChatBox, **what) -> None:
    """What the page does when somebody presses a button or Enter."""
    chat._wish = what | {"request": chat._picture["request"] + 1}


def spoken_to(stages, *texts: str, **how) -> ChatBox:
    chat = ChatBox(stages, seed=0, **how)
    for text in texts:
        chat.say(text)
    return chat


def tokens(chat: ChatBox, place: int = -1) -> list[dict]:
    return chat._picture["speakers"][place]["tokens"]


def test_stages_answer_side_by_side_as_they_would_alone(stages):
    chat = ChatBox(stages, seed=3, temperature=0.9, top_p=0.8)
    answers = chat.say("What is the capital of France?")
    sft = stages["SFT"]
    ids = conversation_ids(sft, [{"role": "user", "content": "What is the capital of France?"}])
    generator = torch.Generator().manual_seed(3)
    cuts = {"temperature": 0.9, "top_p": 0.8, "generator": generator}
    out = generate(sft.model, [ids], LONGEST, stop_id=sft.tokenizer.end_id, **cuts)
    assert answers["SFT"] == sft.tokenizer.decode(out.completions[0]).strip()
    assert answers["base"] and "\n" not in answers["base"], "a page of questions goes on; an answer ends"
    assert chat.state == chat._picture["state"] == "done"
    assert [speaker["name"] for speaker in chat._picture["speakers"]] == ["base", "SFT"]


def test_the_page_shows_the_very_row_that_the_model_read_and_wrote(stages):
    chat = spoken_to(stages, "Hello! How are you?")
    shown, sft = tokens(chat), stages["SFT"]
    read = [one["id"] for one in shown if not one["wrote"]]
    assert read == conversation_ids(sft, [{"role": "user", "content": "Hello! How are you?"}])
    assert [one["text"] for one in shown if one["special"]][:3] == ["<|user|>", "<|end|>", "<|assistant|>"]
    wrote = [one["id"] for one in shown if one["wrote"]]
    assert wrote[-1] == sft.tokenizer.end_id and sft.tokenizer.decode(wrote).strip() == chat.speakers[1].said
    page = tokens(chat, 0)
    assert "".join(one["text"] for one in page).startswith("<|endoftext|>Question: Hello! How are you?\nAnswer:")


@pytest.mark.parametrize("special", SPECIAL_TOKENS)
def test_a_special_token_that_somebody_types_stays_text(stages, special):
    chat = spoken_to({"SFT": stages["SFT"]}, f"Hi{special}there")
    read = [one for one in tokens(chat) if not one["wrote"]]
    assert [one["text"] for one in read if one["special"]] == ["<|user|>", "<|end|>", "<|assistant|>"]
    assert "".join(one["text"] for one in read[1:-2]) == f"Hi{special}there"
    assert chat.transcript["SFT"][0]["content"] == f"Hi{special}there"


def test_the_conversation_is_read_again_with_every_turn(stages):
    chat = spoken_to(stages, "My name is Ada.", "What is my name?")
    said = chat.transcript["SFT"]
    assert [one["role"] for one in said] == ["user", "assistant"] * 2 and said[0]["content"] == "My name is Ada."
    read = [one["id"] for one in tokens(chat) if not one["wrote"]]
    assert read == conversation_ids(stages["SFT"], said[:3])
    wish(chat, do="new")
    assert chat.transcript == {"base": [], "SFT": []} and chat._picture["said"] == [] and tokens(chat) == []
    first = chat.say("My name is Ada.")
    assert first["SFT"] == said[1]["content"], "the same seed says the same"


def test_old_turns_stay_on_the_page_when_the_model_has_forgotten_them(stages):
    chat = spoken_to({"SFT": stages["SFT"]}, *["Tell me a long story about elephants and lions, please. " * 4] * 6)
    (speaker,) = chat._picture["speakers"]
    assert len(chat._picture["said"]) == len(speaker["answers"]) == 6 > speaker["remembers"] >= 1
    assert len(speaker["tokens"]) <= stages["SFT"].model.config.context_length


def test_what_cannot_be_said_is_answered_by_a_sentence_and_nothing_is_lost(stages):
    chat = spoken_to(stages, "Hello!")
    for text, reason in {"far too long " * 100: "fewer words", "   ": "type something"}.items():
        wish(chat, do="say", text=text)
        assert reason in chat.message == chat._picture["message"] and chat._picture["said"] == ["Hello!"]
        assert [len(said) for said in chat.transcript.values()] == [2, 2]
        with pytest.raises(ValueError, match=reason):
            chat.say(text)
    wish(chat, do="say", text="Hello again! 🦜 <b>of</b> \ud83d")
    assert chat.wait(20) and chat.message == "" and chat.state == "done" and len(chat._picture["said"]) == 2


def test_what_is_too_long_for_one_is_heard_by_nobody(stages):
    chat = ChatBox({"SFT": stages["SFT"], "base": stages["base"]})  # base reads "Question:" and "Answer:" as well
    room = 256 - LONGEST

    def length(name: str, n: int) -> int:
        return len(conversation_ids(stages[name], [{"role": "user", "content": ("a " * n).strip()}]))

    n = next(n for n in range(room) if length("base", n) > room >= length("SFT", n))
    wish(chat, do="say", text="a " * n)
    assert "fewer words" in chat.message and [one.conversation.messages for one in chat.speakers] == [[], []]


class Slow(torch.nn.Module):
    """A model that takes its time and never ends."""

    def __init__(self, model: Transformer, seconds: float = 0.05):
        super().__init__()
        self.model, self.seconds, self.config, self.device = model, seconds, model.config, model.device
        self.new_cache = model.new_cache

    def trunk(self, *given):
        time.sleep(self.seconds)
        return self.model.trunk(*given)

    def unembedding(self, state):
        logits = self.model.unembedding(state)
        logits[:, :7] = -torch.inf
        return logits


def test_it_streams_and_stops_within_a_second(stages):
    slow = replace(stages["SFT"], model=Slow(stages["SFT"].model))
    chat = ChatBox({"slow": slow, "next": slow})
    seen = []
    chat.observe(lambda change: seen.append(len(change["new"]["speakers"][0]["tokens"])), "_picture")
    wish(chat, do="say", text="Tell me everything.")
    wish(chat, do="say", text="And quickly!")
    assert "still answering" in chat.message and chat._picture["state"] == "running"
    deadline = time.monotonic() + 20
    while len(chat.speakers[0].wrote) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    asked = time.monotonic()
    wish(chat, do="stop")
    assert chat.wait(10) and time.monotonic() - asked < 1
    assert chat.state == "done" and len(set(seen)) > 3, "token by token"
    answers = [speaker["answers"] for speaker in chat._picture["speakers"]]
    assert answers[0][0]["stopped"] and answers[0][0]["text"] == chat.speakers[0].said != ""
    assert answers[1] == [{"text": "", "stopped": True}], "who had not begun does not begin"
    assert len(chat.speakers[0].wrote) < LONGEST


def test_a_new_conversation_stops_the_old_one(stages):
    slow = replace(stages["SFT"], model=Slow(stages["SFT"].model))
    chat = ChatBox({"slow": slow})
    wish(chat, do="say", text="Tell me everything.")
    wish(chat, do="new")
    assert chat.state == "idle" and chat._picture["said"] == [] and chat.wait(0)


def test_a_model_that_breaks_is_reported_and_the_others_still_answer(stages):
    broken = Transformer(stages["SFT"].model.config, torch.Generator().manual_seed(0))
    with torch.no_grad():
        broken.norm.weight.fill_(torch.nan)
    chat = ChatBox({"yours": replace(stages["SFT"], name="mine", model=broken), "SFT": stages["SFT"]}, seed=0)
    answers = chat.say("Hello!")
    assert chat.state == "failed" and "yours could not answer" in chat.message and "diverged" in chat.message
    assert answers["yours"] == "" and answers["SFT"]
    assert chat.say("Hello again!")["SFT"], "it stays alive"


def test_a_system_message_comes_first_and_begins_a_new_conversation(stages):
    chat = spoken_to(stages, "Hello!")
    chat.system = "Be polite."
    assert chat._picture["said"] == []
    chat.say("Hello!")
    assert [one["text"] for one in tokens(chat)][0] == "<|system|>" == tokens(chat)[0]["text"]
    assert "".join(one["text"] for one in tokens(chat, 0)).startswith("<|endoftext|>Be polite.\nQuestion: Hello!")


def test_numbers_out_of_range_and_models_that_cannot_chat_are_refused(stages):
    for wrong in ({"temperature": 3}, {"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}):
        with pytest.raises(traitlets.TraitError):
            ChatBox(stages, **wrong)
    with pytest.raises(ValueError, match="at least one stage"):
        ChatBox({})
    with pytest.raises(ValueError, match="fills blanks"):
        ChatBox([checkpoints.load("mlm")])


def test_the_figure_and_the_name_stand_still(stages):
    chat = spoken_to(stages, "<b>Hello</b>")
    assert repr(chat) == "ChatBox()"
    table = chat.figure().data[0]
    assert [name for name in table.header["values"]] == ["<b>you</b>", "<b>base</b>", "<b>SFT</b>"]
    assert table.cells["values"][0] == ["&lt;b&gt;Hello&lt;/b&gt;"] or table.cells["values"][0] == (
        "&lt;b&gt;Hello&lt;/b&gt;",
    )
