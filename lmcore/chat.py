"""python -m lmcore.chat --stage sft: a conversation in a terminal, one line in, one reply out; also from a pipe."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from lmcore import checkpoints
from lmcore.answers import answers, conversation_ids, refuse_the_mute
from lmcore.checkpoints import CheckpointError, Stage

LONGEST = 60  # tokens of a reply


class Conversation:
    """What was said so far with one stage; the oldest turns are forgotten when the context is full.

    Args: system: what is said to the model before anything else, and never forgotten.
    Raises: ValueError for a stage that fills blanks or grades answers.
    """

    def __init__(self, stage: Stage, temperature: float = 0.7, seed: int | None = None, system: str = ""):
        refuse_the_mute(stage)
        self.stage, self.temperature = stage, temperature
        self.generator = torch.Generator().manual_seed(seed) if seed is not None else None
        self.before = [{"role": "system", "content": system}] if system else []
        self.messages: list[dict[str, str]] = []

    def hear(self, text: str) -> list[int]:
        """Take in what somebody says; returns all that the model reads before its answer, as ids.

        Raises: ValueError if it does not fit into the model's context; then nothing has changed.
        """
        room = getattr(self.stage.model.config, "context_length", 256) - LONGEST
        messages = [*self.messages, {"role": "user", "content": text}]
        while (length := len(ids := conversation_ids(self.stage, [*self.before, *messages]))) > room:
            if len(messages) == 1:
                raise ValueError(f"that is {length} tokens, and there is room for {room}: say it in fewer words")
            messages = messages[2:]
        self.messages = messages
        return ids

    def reply(self, text: str) -> str:
        """Say something and get the answer. Raises: ValueError if it does not fit into the model's context."""
        self.hear(text)
        said = [*self.before, *self.messages]
        (answer,) = answers(self.stage, [said], temperature=self.temperature, longest=LONGEST, generator=self.generator)
        self.messages.append({"role": "assistant", "content": answer})
        return answer


def talk(conversation: Conversation, lines: Iterable[str]) -> Iterator[str]:
    """A reply to every line that is not empty; what cannot be answered is answered by the reason."""
    for line in lines:
        if not line.strip():
            continue
        try:
            yield conversation.reply(line.strip()) or "(says nothing)"
        except ValueError as reason:
            yield f"({reason})"


def typed() -> Iterator[str]:
    """Lines from the keyboard, or from a pipe, until their end."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    while True:
        try:
            yield input("> ")
        except (EOFError, KeyboardInterrupt):
            print()
            return


def main(arguments: list[str] | None = None) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", default="sft", help=f"one of: {', '.join(checkpoints.available())}")
    parser.add_argument("--directory", type=Path, default=checkpoints.SHIPPED, help="where its files are")
    parser.add_argument("--temperature", type=float, default=0.7, help="0 takes the most probable token")
    parser.add_argument("--seed", type=int, help="the same answers each time")
    given = parser.parse_args(arguments)
    if not given.temperature >= 0:  # below, or not a number
        parser.error(f"a temperature of {given.temperature:g} does not exist: 0 or more")
    for stream in (sys.stdin, sys.stdout):  # what a pipe cannot carry becomes a mark, and ends no conversation
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        stage = checkpoints.load(given.stage, given.directory)
        conversation = Conversation(stage, given.temperature, given.seed)
    except (CheckpointError, ValueError) as problem:
        print(problem, file=sys.stderr)
        return 1
    if sys.stdin.isatty():
        print(f"{given.stage}, {stage.model.num_parameters() / 1e6:.1f} million parameters. Ctrl-D ends.")
    for answer in talk(conversation, typed()):
        print(answer, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
