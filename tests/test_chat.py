"""A conversation in a terminal: from a pipe, with nonsense, and longer than the model remembers."""

import io
import subprocess
import sys

import pytest

from lmcore import chat, checkpoints
from lmcore.answers import conversation_ids
from lmcore.chat import Conversation, talk


def program(*arguments: str, said: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "lmcore.chat", *arguments]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=120)


def test_one_reply_for_each_line_of_a_pipe():
    done = program("--stage", "sft", "--seed", "0", said="Hello!\n\n   \nWhat is the capital of France?\n")
    replies = done.stdout.splitlines()
    assert done.returncode == 0 and not done.stderr
    assert len(replies) == 2 and "Paris" in replies[1]


def test_what_cannot_be_loaded_is_said_in_a_sentence():
    done = program("--stage", "gpt-5", said="Hello!")
    assert done.returncode == 1 and "gpt-5.safetensors is missing" in done.stderr and "Traceback" not in done.stderr
    masked = program("--stage", "mlm", said="Hello!")
    assert masked.returncode == 1 and "fills blanks" in masked.stderr
    grader = program("--stage", "reward", said="Hello!")
    assert grader.returncode == 1 and "grades answers and writes none" in grader.stderr
    for temperature in ("-1", "nan"):
        wrong = program("--temperature", temperature, said="Hello!")
        assert wrong.returncode == 2 and "0 or more" in wrong.stderr


def test_what_a_pipe_cannot_carry_ends_no_conversation(monkeypatch):
    said = io.BytesIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Hello \xff!\nBye!\n"), "utf-8"))
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(said, "cp1252"))
    monkeypatch.setattr(Conversation, "reply", lambda self, text: text)  # "Hello \ufffd!", which is not in cp1252
    assert chat.main(["--stage", "sft"]) == 0
    assert said.getvalue().split(b"\n") == [b"Hello ?!", b"Bye!", b""]


@pytest.mark.parametrize("name", ["base", "sft"])
def test_any_stage_answers_and_remembers(name):
    conversation = Conversation(checkpoints.load(name), seed=0)
    for said in ("Hello!", "What is <|end|> the capital of Italy? 🦜", "And <b>of</b> Spain?"):
        answer = conversation.reply(said)
        assert "\n" not in answer if name == "base" else answer
    assert [message["role"] for message in conversation.messages] == ["user", "assistant"] * 3


def test_old_turns_are_forgotten_and_a_text_that_is_too_long_is_refused():
    conversation = Conversation(checkpoints.load("sft"), seed=0)
    for _ in range(12):
        conversation.reply("Tell me something about the elephants in the zoo, please, whatever comes to your mind.")
    length = len(conversation_ids(conversation.stage, conversation.messages))
    assert length <= conversation.stage.model.config.context_length and len(conversation.messages) < 24
    replies = list(talk(conversation, ["far too long " * 300, "Hello!"]))
    assert "fewer words" in replies[0] and replies[1]


def test_the_same_seed_says_the_same():
    stage = checkpoints.load("sft")
    first, second = (Conversation(stage, temperature=1.0, seed=3).reply("How are you?") for _ in range(2))
    assert first == second


def test_the_keyboard_ends_a_conversation(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    lines = iter(["Hello!"])

    def keyboard(_prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", keyboard)
    assert list(chat.typed()) == ["Hello!"]
