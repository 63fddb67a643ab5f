"""What a stage answers when it is spoken to: a fine-tuned one in turns, any other as on a page of questions."""

from collections.abc import Sequence

import torch

from lmcore.checkpoints import Stage
from lmcore.models import RewardModel, generate

LONGEST = 40  # tokens of an answer
UNALIGNED = ("base", "rnn", "lstm", "gru")  # stages that only ever learnt to go on with a text
PAGE = {"system": "", "user": "Question: ", "assistant": "Answer: "}  # how the almanac's pages of questions are written


def refuse_the_mute(stage: Stage) -> None:
    """Raises: ValueError with a sentence for a stage that does not answer: it fills blanks, or grades answers."""
    if isinstance(stage.model, RewardModel):
        raise ValueError(f"{stage.name} grades answers and writes none; take one of the others")
    if not stage.model.config.causal:
        raise ValueError(f"{stage.name} fills blanks and cannot answer; take one of the others")


def conversation_ids(stage: Stage, messages: Sequence[dict[str, str]]) -> list[int]:
    """A conversation as the stage knows it, up to where its answer begins."""
    tokenizer = stage.tokenizer
    if stage.name not in UNALIGNED:
        return tokenizer.chat(messages, add_generation_prompt=True)
    said = [PAGE[message["role"]] + message["content"] for message in messages]
    return [tokenizer.eot_id, *tokenizer.encode("\n".join([*said, "Answer:"]))]


def answers(
    stage: Stage,
    conversations: Sequence[Sequence[dict[str, str]]],
    *,
    temperature: float = 0.7,
    longest: int = LONGEST,
    generator: torch.Generator | None = None,
    at_once: int = 200,
) -> list[str]:
    """One answer to the last turn of each conversation. Raises: ValueError, see `refuse_the_mute`."""
    refuse_the_mute(stage)
    unaligned, said = stage.name in UNALIGNED, []
    for start in range(0, len(conversations), at_once):
        out = generate(
            stage.model,
            [conversation_ids(stage, messages) for messages in conversations[start : start + at_once]],
            longest,
            temperature=temperature,
            stop_id=stage.tokenizer.eot_id if unaligned else stage.tokenizer.end_id,
            generator=generator,
        )
        texts = (stage.tokenizer.decode(ids).strip() for ids in out.completions)
        said += [text.split("\n")[0].strip() if unaligned else text for text in texts]  # a page goes on with a question
    return said


def answers_to(stage: Stage, prompts: Sequence[str], seed: int = 0, **how) -> list[str]:
    """One answer to each prompt, the same for the same seed; `how` as in `answers`."""
    conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
    return answers(stage, conversations, generator=torch.Generator().manual_seed(seed), **how)
