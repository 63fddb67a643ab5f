"""What stands in a stage's card: how it was trained, and samples that nobody picked."""

import platform

import torch

from lmcore.data import almanac
from lmcore.data.tokenizer import Tokenizer
from lmcore.evaluation.sampling import sample_answers
from lmcore.models import Transformer, generate
from lmcore.trainers import Trainer

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


def describe(what: str, trainer: Trainer, minutes: float, program: str = "lmcore.recipes") -> dict:
    """The part of a card that all stages share."""
    return {
        "what": what,
        "trained_by": f"python -m {program}, {type(trainer).__name__}",
        "trainer_config": {key: value for key, value in vars(trainer.config).items()},
        "steps": trainer.steps_done,
        "parameters": sum(p.numel() for p in next(iter(trainer.modules.values())).parameters() if p.requires_grad),
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


def chat_samples(model: Transformer, tokenizer: Tokenizer) -> list[dict]:
    """Answers to the first twenty held-out prompts: one draw each at temperature 0.7, seed 0."""
    shown = [task.prompt for task in almanac.prompts("test", n=20, seed=0)]
    (answers,) = zip(*sample_answers(model, tokenizer, shown, 1, temperature=0.7, max_new_tokens=40), strict=True)
    return [{"prompt": prompt, "answer": answer} for prompt, answer in zip(shown, answers, strict=True)]
