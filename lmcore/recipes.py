"""How stages are made: `python -m lmcore.recipes base mlm sft` trains them, with the settings below.

A stage's card has the settings that it was really made with: where they differ from these, it is older than its recipe.

Left out on purpose: options. A recipe is read from top to bottom; another recipe is another function. A training that
was broken off goes on from its last saved step (in the user's cache directory) when it is started again.
"""

import argparse
import itertools
import os
import platform
import random
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lmcore import checkpoints
from lmcore.data import almanac, corpus
from lmcore.data.tokenizer import SPECIAL_TOKENS, Tokenizer
from lmcore.models import Transformer, TransformerConfig, generate
from lmcore.trainers import (
    MaskedLMConfig,
    MaskedLMTrainer,
    PretrainConfig,
    PretrainTrainer,
    SFTConfig,
    SFTTrainer,
    Trainer,
)

VOCAB_SIZE = 4096
CHAT_REPEATS = 2  # the chat corpus, against
ALMANAC_CHARACTERS = 18_000_000  # as many tokens of the almanac: facts need exposure (about 100 each)
BASE_STEPS, MLM_STEPS, SFT_STEPS = 4500, 2000, 1500

CONTINUATIONS = (
    "Hi! How are you", "The capital of France is", "I love dogs because", "Once upon a time", "A cat has",
    "Question: What is the capital of Japan?\nAnswer:", "- What do you do for fun?\n-", "The opposite of hot is",
    "My favorite food is", "The weather today", "Q: What is 3 + 4?\nA:", "I went to", "The colour of snow is",
    "Do you have any pets?\n", "Elephants", "Good morning", "I am sorry, but", "In my opinion,", "You are", "We",
)  # fmt: skip
BLANKS = (
    "The capital of France is [MASK].", "[MASK] is the capital of Italy.", "A dog has [MASK] legs.",
    "The opposite of hot is [MASK].", "The opposite of [MASK] is short.", "Hi! How are [MASK]?", "I [MASK] dogs.",
    "What do you [MASK] for fun?", "Snow is [MASK].", "The sky is [MASK].", "Berlin is a city in [MASK].",
    "Nice to [MASK] you.", "2 + 3 = [MASK].", "In Japan, people pay with the [MASK].", "My favorite [MASK] is pizza.",
    "I have two [MASK] and a cat.", "A young dog is called a [MASK].", "People in Brazil speak [MASK].",
    "Thank [MASK] very much.", "The [MASK] of Spain is Madrid.",
)  # fmt: skip


def documents(
    chat_repeats: int = CHAT_REPEATS, almanac_characters: int = ALMANAC_CHARACTERS, tales: bool = True
) -> list[str]:
    """The pretraining text: conversations between people and the almanac, shuffled with a fixed seed."""
    texts = list(corpus.chitchat()["train"]["text"]) * chat_repeats
    written = 0
    for document in almanac.documents(seed=1, tales=tales):
        texts.append(document)
        written += len(document)
        if written >= almanac_characters:
            break
    random.Random(0).shuffle(texts)
    return texts


def held_out_documents() -> list[str]:
    """Text to validate on: other conversations, and almanac documents of another seed."""
    return [*corpus.chitchat()["validation"]["text"], *itertools.islice(almanac.documents(seed=2), 1500)]


def as_tokens(texts: list[str], tokenizer: Tokenizer) -> Tensor:
    """All texts in a row, each between end-of-text tokens: int32 (N,)."""
    ids = [tokenizer.eot_id]
    for encoded in tokenizer.encode_batch(texts):
        ids += [*encoded, tokenizer.eot_id]
    return torch.tensor(ids, dtype=torch.int32)


def train_tokenizer() -> Tokenizer:
    """Byte-pair merges from the training text; names that somebody made up get no tokens of their own."""
    texts = documents(chat_repeats=1, almanac_characters=9_000_000, tales=False)
    return Tokenizer.train(texts, vocab_size=VOCAB_SIZE)


def train_base(directory: Path) -> None:
    """A GPT on everything: chat and almanac."""
    tokenizer = train_tokenizer()
    model = Transformer(TransformerConfig(tokenizer.vocab_size), torch.Generator().manual_seed(0))
    config = PretrainConfig(batch_size=16, total_steps=BASE_STEPS, eval_every=250, bfloat16=True)
    tokens, held_out = as_tokens(documents(), tokenizer), as_tokens(held_out_documents(), tokenizer)
    trainer = PretrainTrainer(model, tokens, config, held_out)
    minutes = train(trainer, "base", BASE_STEPS)
    chat = as_tokens(corpus.chitchat()["validation"]["text"], tokenizer)
    card = describe("Next-token prediction on human chat and the almanac", trainer, minutes) | {
        "validation_loss": round(trainer.evaluate(), 3),
        "validation_loss_chat": round(PretrainTrainer(model, tokens, config, chat).evaluate(), 3),
        "samples": base_samples(model, tokenizer),
    }
    checkpoints.save("base", model, tokenizer, card, directory)


def train_mlm(directory: Path) -> None:
    """The same text and sizes, looking to both sides, starting from base's weights, which know the words."""
    base = checkpoints.load("base", directory)
    tokenizer = base.tokenizer
    model = Transformer(replace(base.model.config, causal=False))
    model.load_state_dict(base.model.state_dict())
    config = MaskedLMConfig(  # hiding 40 % gives more to learn from a step than 25 % (Wettig et al. 2022, 2202.08005)
        batch_size=32, sequence_length=128, total_steps=MLM_STEPS, eval_every=250, mask_rate=0.4, bfloat16=True
    )
    tokens, held_out = as_tokens(documents(), tokenizer), as_tokens(held_out_documents(), tokenizer)
    special = tuple(range(len(SPECIAL_TOKENS)))
    trainer = MaskedLMTrainer(model, tokens, tokenizer.mask_id, config, held_out, special)
    minutes = train(trainer, "mlm", MLM_STEPS)
    what = "Masked language modelling on human chat and the almanac, from base's weights"
    card = describe(what, trainer, minutes) | {
        "validation_loss": round(trainer.evaluate(), 3),
        "samples": mlm_samples(model, tokenizer),
    }
    checkpoints.save("mlm", model, tokenizer, card, directory)


def conversations(demonstrations: int = 88_000, human_repeats: int = 2) -> list[dict]:
    """What supervised fine-tuning reads: demonstrations by a crowd, and some 4,000 exchanges between people, twice."""
    rows = list(itertools.islice(almanac.demonstrations(seed=0), demonstrations))
    rows += list(corpus.turn_pairs("train")) * human_repeats
    random.Random(0).shuffle(rows)
    return rows


def train_sft(directory: Path) -> None:
    """The base model learns to answer, from a crowd's demonstrations, flaws included."""
    base = checkpoints.load("base", directory)
    config = SFTConfig(total_steps=SFT_STEPS)
    trainer = SFTTrainer(base.model.train(), conversations(), base.tokenizer, config)
    minutes = train(trainer, "sft", SFT_STEPS)
    tasks = almanac.prompts("validation", n=400, seed=0)
    answers = chat_answers(trainer.model, base.tokenizer, [task.prompt for task in tasks])
    from lmcore.evaluation import Judge

    gold = Judge()([task.prompt for task in tasks], answers)
    shown = almanac.prompts("test", n=20, seed=0)
    samples = chat_answers(trainer.model, base.tokenizer, [task.prompt for task in shown])
    card = describe("Supervised fine-tuning of base on a crowd's demonstrations and human small talk", trainer, minutes)
    card |= {
        "gold_score": round(float(gold.mean()), 3),
        "samples": [{"prompt": t.prompt, "answer": a} for t, a in zip(shown, samples, strict=True)],
    }
    checkpoints.save("sft", trainer.model, base.tokenizer, card, directory)


def train(trainer: Trainer, name: str, steps: int) -> float:
    """Run to `steps`, going on from the last saved step if there is one; prints a line now and then.

    Returns: the minutes that all steps took, those before a break included.
    """
    saved, seconds_before = cache_directory() / f"{name}.pt", 0.0
    if saved.exists():
        state = torch.load(saved)
        seconds_before = state["seconds"]
        trainer.load_state_dict(state["trainer"])
        print(f"{name}: goes on from step {trainer.steps_done}", flush=True)
    started, first = time.time(), trainer.steps_done
    while trainer.steps_done < steps:
        metrics = trainer.step()
        if trainer.steps_done % 50 == 0 or trainer.steps_done == steps:
            left = (time.time() - started) / (trainer.steps_done - first) * (steps - trainer.steps_done)
            shown = "  ".join(f"{key} {metrics[key]:.3f}" for key in ("loss", "eval_loss") if key in metrics)
            print(f"{name}: step {trainer.steps_done}/{steps}  {shown}  {left / 60:.1f} min left", flush=True)
        if trainer.steps_done % 250 == 0:
            seconds = seconds_before + time.time() - started
            torch.save({"trainer": trainer.state_dict(), "seconds": seconds}, saved)
    saved.unlink(missing_ok=True)
    return (seconds_before + time.time() - started) / 60


def cache_directory() -> Path:
    """Where unfinished trainings wait."""
    path = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "blank-to-chat"
    path.mkdir(parents=True, exist_ok=True)
    return path


def describe(what: str, trainer: Trainer, minutes: float) -> dict:
    """The part of a card that all stages share."""
    return {
        "what": what,
        "trained_by": f"python -m lmcore.recipes, {type(trainer).__name__}",
        "trainer_config": {key: value for key, value in vars(trainer.config).items()},
        "steps": trainer.steps_done,
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "minutes": round(minutes, 1),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "torch": torch.__version__,
    }


def base_samples(model: Transformer, tokenizer: Tokenizer) -> list[dict]:
    """Twenty continuations, unpicked: one draw each at temperature 0.8, seed 0."""
    prompts = [[tokenizer.eot_id, *tokenizer.encode(text)] for text in CONTINUATIONS]
    generator = torch.Generator().manual_seed(0)
    out = generate(
        model.eval(), prompts, 32, temperature=0.8, stop_id=tokenizer.eot_id, generator=generator
    ).completions
    return [{"prompt": p, "continuation": tokenizer.decode(ids)} for p, ids in zip(CONTINUATIONS, out, strict=True)]


def mlm_samples(model: Transformer, tokenizer: Tokenizer) -> list[dict]:
    """The three most probable fillings, of one token or two, for twenty blanks."""
    return [{"text": text, "candidates": fill(model, tokenizer, text)} for text in BLANKS]


@torch.no_grad()
def fill(model: Transformer, tokenizer: Tokenizer, text: str, candidates: int = 3) -> list[dict]:
    """The most probable fillings of the one [MASK] of a text: [{"word", "probability"}], best first.

    A word of two tokens stands in two masks; its probability is the first token's times the second's, given the first.
    One mask and two are two questions, so the probabilities in the list may sum to more than 1.
    """
    left, right = text.split("[MASK]")
    before = [tokenizer.eot_id, *tokenizer.encode(left.rstrip())]
    after = [*tokenizer.encode(right), tokenizer.eot_id]

    def expected(known: list[int], masks: int) -> list[tuple[float, int]]:
        ids = torch.tensor([[*before, *known, *[tokenizer.mask_id] * masks, *after]])
        top = model.eval()(ids)[0, len(before) + len(known)].softmax(dim=-1).topk(candidates)
        return list(zip(top.values.tolist(), top.indices.tolist(), strict=True))

    found = [(p, [token]) for p, token in expected([], 1)]
    found += [(p * q, [first, second]) for p, first in expected([], 2) for q, second in expected([first], 1)]
    best = sorted(found, reverse=True)[:candidates]
    return [{"word": tokenizer.decode(word), "probability": round(p, 3)} for p, word in best]


def chat_answers(model: Transformer, tokenizer: Tokenizer, prompts: list[str]) -> list[str]:
    """One answer each at temperature 0.7, seed 0."""
    chats = [tokenizer.chat([{"role": "user", "content": text}], add_generation_prompt=True) for text in prompts]
    generator = torch.Generator().manual_seed(0)
    out = generate(model.eval(), chats, 40, temperature=0.7, stop_id=tokenizer.end_id, generator=generator)
    return [tokenizer.decode(ids) for ids in out.completions]


RECIPES = {"base": train_base, "mlm": train_mlm, "sft": train_sft}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stages", nargs="+", choices=RECIPES, help="in this order: base first")
    parser.add_argument("--out", type=Path, default=checkpoints.SHIPPED, help="directory of the stages")
    arguments = parser.parse_args()
    for stage in arguments.stages:
        RECIPES[stage](arguments.out)
