"""What lesson 07 fine-tunes, asks and draws: quick fine-tunings, three ways of asking, and an exam for each."""

import copy
import itertools
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from lmcore.answers import answers_to, conversation_ids
from lmcore.checkpoints import Stage
from lmcore.data import Tokenizer, almanac, corpus
from lmcore.evaluation import Judge
from lmcore.evaluation.scores import bits_per_byte
from lmcore.models import Transformer, generate
from lmcore.recipes import as_tokens
from lmcore.trainers import SFTConfig, SFTTrainer
from widgets.theme import COLOURS, LAYOUT

LONGEST = 40  # tokens of an answer

# --- Text -----------------------------------------------------------------------------------------------------------


def demonstrations(count: int) -> list[dict]:
    """The first conversations of the almanac's crowd."""
    return list(itertools.islice(almanac.demonstrations(seed=0), count))


def pretraining_text(tokenizer: Tokenizer) -> Tensor:
    """Some of what base has read: conversations and almanac pages as tokens in a row."""
    texts = [*corpus.chitchat()["train"]["text"][:100], *itertools.islice(almanac.documents(seed=1), 1000)]
    random.Random(0).shuffle(texts)
    return as_tokens(texts, tokenizer)


# --- Fine-tuning ----------------------------------------------------------------------------------------------------


def with_meanings(base: Stage) -> Transformer:
    """A copy of base in which the chat tokens begin with the meaning of something that it knows."""
    model, tokenizer = copy.deepcopy(base.model), base.tokenizer
    known = {tokenizer.user_id: "Question:", tokenizer.assistant_id: "Answer:", tokenizer.end_id: "\n"}
    with torch.no_grad():
        for token, text in known.items():
            model.embedding.weight[token] = model.embedding.weight[tokenizer.encode(text)].mean(dim=0)
    return model


class WithoutEnd:
    """A tokenizer whose conversations teach the assistant's words, but not where its turn ends."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer, self.pad_id = tokenizer, tokenizer.pad_id

    def chat_with_mask(self, messages: Sequence[dict[str, str]]) -> tuple[list[int], list[bool]]:
        ids, mask = self.tokenizer.chat_with_mask(messages)
        return ids, [learnt and token != self.tokenizer.end_id for token, learnt in zip(ids, mask, strict=True)]


def fine_tuned(
    base: Stage, rows: Sequence[dict], steps: int, tokenizer: Tokenizer | WithoutEnd | None = None, **config
) -> Stage:
    """Base after `steps` steps on these conversations; `config` as in SFTConfig, and `ptx_tokens`."""
    ptx_tokens = config.pop("ptx_tokens", None)
    plan = SFTConfig(batch_size=16, warmup_steps=5, total_steps=steps, ptx_length=64, **config)
    trainer = SFTTrainer(with_meanings(base), rows, tokenizer or base.tokenizer, plan, ptx_tokens=ptx_tokens)
    trainer.run(steps, progress=False)
    return Stage("fine-tuned", trainer.model.eval(), base.tokenizer, {})


# --- Asking ---------------------------------------------------------------------------------------------------------


def continued(base: Stage, prompts: Sequence[str], seed: int = 0) -> list[str]:
    """What base writes after each prompt, when it is given the prompt and nothing else."""
    rows = [[base.tokenizer.eot_id, *base.tokenizer.encode(prompt)] for prompt in prompts]
    generator = torch.Generator().manual_seed(seed)
    out = generate(base.model, rows, LONGEST, temperature=0.7, stop_id=base.tokenizer.eot_id, generator=generator)
    return [base.tokenizer.decode(ids).strip() for ids in out.completions]


def share_that_end(stage: Stage, prompts: Sequence[str]) -> float:
    """How many of its answers a model ends by itself within 40 tokens."""
    rows = [conversation_ids(stage, [{"role": "user", "content": prompt}]) for prompt in prompts]
    generator = torch.Generator().manual_seed(0)
    out = generate(stage.model, rows, LONGEST, temperature=0.7, stop_id=stage.tokenizer.end_id, generator=generator)
    return float(out.ended.float().mean())


def unseen(count: int, kind: str | None = None) -> list[str]:
    """Prompts that were in no training: all kinds as they come, or one."""
    return [task.prompt for task in almanac.prompts("test", kind, n=count, seed=7)]


# --- Exams ----------------------------------------------------------------------------------------------------------


def gold(prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
    """The judge's score of each answer, -1 to 1: (N,)."""
    return Judge()(list(prompts), list(answers))


def knows(stage: Stage, prompts: Sequence[str]) -> Tensor:
    """Which questions about taught facts get a right answer, when no dice are thrown: (N,) of 0 and 1."""
    judge, answers = Judge(), answers_to(stage, prompts, temperature=0)
    right = [(judge.explain(*both).truth or -1) > 0 for both in zip(prompts, answers, strict=True)]
    return torch.tensor(right).float()


def surprise(stage: Stage) -> float:
    """Bits per byte on almanac pages that were in no training."""
    pages = list(itertools.islice(almanac.documents(seed=3), 50))
    return bits_per_byte(stage.model, pages, stage.tokenizer).value


# --- Pictures -------------------------------------------------------------------------------------------------------


def interval_bars(measured: dict[str, tuple[Tensor, str]], title: str, y: str):
    """{name: (values (N,), colour)} as bars of their means, with 95 % intervals."""
    import plotly.graph_objects as go
    from experiments.lesson_09 import interval

    rows = [interval(values) for values, _ in measured.values()]
    error = {"array": [high - mean for mean, _, high in rows], "arrayminus": [mean - low for mean, low, _ in rows]}
    bars = go.Bar(x=list(measured), y=[mean for mean, _, _ in rows], error_y=error | {"color": "#7A7A7A"})
    bars.marker.color = [COLOURS[colour] for _, colour in measured.values()]
    return go.Figure(bars, {**LAYOUT, "title": title, "yaxis_title": y, "height": 360})
