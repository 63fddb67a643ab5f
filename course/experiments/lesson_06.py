"""What lesson 06 reads, trains and measures: text to pretrain on, tiny GPTs that spell, questions, long contexts."""

import itertools
import math
import random
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.checkpoints import Stage
from lmcore.data import Tokenizer, almanac, corpus
from lmcore.data.almanac.wording import naming
from lmcore.data.mixtures import as_tokens
from lmcore.models import Transformer, TransformerConfig, generate
from lmcore.trainers import PretrainConfig, PretrainTrainer

# --- Text -----------------------------------------------------------------------------------------------------------


def some_text(tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    """Conversations and almanac pages as tokens in a row: about half a million to learn from, others to test on."""
    chat = corpus.chitchat()
    learn = [*chat["train"]["text"][:400], *itertools.islice(almanac.documents(seed=1), 3000)]
    test = [*chat["validation"]["text"][:40], *itertools.islice(almanac.documents(seed=2), 300)]
    for texts in (learn, test):
        random.Random(0).shuffle(texts)
    return as_tokens(learn, tokenizer), as_tokens(test, tokenizer)


def letters(split: str, conversations: int) -> Tensor:
    """Conversations as bytes, one number from 0 to 255 for each letter: uint8 (N,)."""
    text = "\n\n".join(corpus.chitchat()[split]["text"][:conversations])
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def shuffled_words(texts: list[str]) -> list[str]:
    """The same words in another order."""
    return [" ".join(random.Random(number).sample(words := text.split(), len(words)))
            for number, text in enumerate(texts)]  # fmt: skip


# --- Tiny GPTs that spell: their tokens are bytes, so their loss is bits per byte at once ---------------------------


def tiny_gpt(width: int) -> Transformer:
    """Two layers of two heads; 12 thousand numbers at width 16, 123 thousand at width 64."""
    sizes = TransformerConfig(256, context_length=128, n_layer=2, n_head=2, n_kv_head=2, n_embd=width)
    return Transformer(sizes, torch.Generator().manual_seed(0))


def pretrain(model: Transformer, text: Tensor, unseen: Tensor, steps: int = 120) -> float:
    """Bits per byte on unseen text after so many steps, of 2,048 letters each."""
    config = PretrainConfig(batch_size=16, sequence_length=128, total_steps=steps, eval_every=10**9)
    trainer = PretrainTrainer(model, text, config, unseen)
    trainer.run(steps, progress=False)
    return trainer.evaluate() / math.log(2)


def seconds_a_step(trainer: PretrainTrainer) -> float:
    """How long one step of a trainer takes here; the trainer is left as it was."""
    before = trainer.state_dict()
    trainer.step()  # the first one warms up
    started = time.perf_counter()
    trainer.step()
    seconds = time.perf_counter() - started
    trainer.load_state_dict(before)
    return seconds


# --- Few-shot: examples in the prompt -------------------------------------------------------------------------------

FORMS = {  # name -> an example, and the question that is left open
    "as in the almanac": ("Question: What is the capital of {0}?\nAnswer: {1}.\n",
                          "Question: What is the capital of {0}?\nAnswer:"),
    "with an arrow": ("{0} -> {1}\n", "{0} ->"),
}  # fmt: skip


def capitals() -> list[tuple[str, str]]:
    """Countries that the model has read about, and their capitals, in random order."""
    rows = [(naming("countries", row["name"]), row["capital"])
            for row in almanac.table("countries") if row["group"] == "taught"]  # fmt: skip
    return random.Random(0).sample(rows, len(rows))


def few_shot_prompt(form: str, shots: int, country: str, examples: list[tuple[str, str]], seed: int) -> str:
    """`shots` examples in a form, and the question about a country."""
    example, question = FORMS[form]
    return "".join(example.format(*one) for one in random.Random(seed).sample(examples, shots)) + question.format(
        country
    )


def answers(stage: Stage, prompts: list[str]) -> list[str]:
    """The first line of the most probable continuation of each prompt."""
    ids = [[stage.tokenizer.eot_id, *stage.tokenizer.encode(prompt)] for prompt in prompts]
    out = generate(stage.model, ids, 12, temperature=0, stop_id=stage.tokenizer.eot_id)
    return [stage.tokenizer.decode(completion).strip().split("\n")[0] for completion in out.completions]


# --- Long contexts --------------------------------------------------------------------------------------------------


@torch.no_grad()
def loss_by_position(model: Transformer, rows: Tensor) -> Tensor:
    """Loss in nats of each token given all before it in its row, averaged over rows: long (B, T + 1) -> (T,)."""
    losses = [
        F.cross_entropy(model(row[None, :-1])[0], row[1:], reduction="none") for row in rows
    ]  # one row at a time: 1,024 positions of 4,096 logits are 17 MB
    return torch.stack(losses).mean(dim=0)


@torch.no_grad()
def loss_in_a_sliding_window(model: Transformer, rows: Tensor, window: int, step: int) -> Tensor:
    """The same for tokens from `window` on, when the model is only given the latest ones, at most `window` of them."""
    T = rows.size(1) - 1
    losses = []
    for end in range(window + step, T + 1, step):
        logits = model(rows[:, end - window : end])[:, -step:]
        losses.append(F.cross_entropy(logits.transpose(1, 2), rows[:, end - step + 1 : end + 1], reduction="none"))
    return torch.cat(losses, dim=1).mean(dim=0)


def seconds_per_token(model: Transformer, length: int, repeats: int = 3) -> float:
    """How long reading takes: the best of a few tries, so that other programs disturb less."""
    ids, seconds = torch.full((1, length), 7), []
    with torch.no_grad():
        for _ in range(repeats):
            started = time.perf_counter()
            model.trunk(ids)
            seconds.append(time.perf_counter() - started)
    return min(seconds) / length
