"""What lesson 02 measures with: small models over other vocabularies, letters asked for, and a careless encoder."""

import random
import re
from collections import Counter

import tokenizers
import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.checkpoints import Stage
from lmcore.data import Tokenizer
from lmcore.data.mixtures import as_tokens
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PretrainConfig, PretrainTrainer

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def small_gpt(texts: list[str], tokenizer: Tokenizer) -> PretrainTrainer:
    """A trainer for a GPT of two layers, 64 wide, that reads 1,024 tokens a step, whatever a token is."""
    config = TransformerConfig(tokenizer.vocab_size, 128, n_layer=2, n_head=4, n_kv_head=2, n_embd=64)
    model = Transformer(config, torch.Generator().manual_seed(0))
    return PretrainTrainer(
        model, as_tokens(texts, tokenizer), PretrainConfig(batch_size=8, sequence_length=128, eval_every=1_000)
    )


def word_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """Tokens that are a whole word of three or more small letters, with its space: {"house": its id}."""
    pieces = enumerate(tokenizer.pieces(range(tokenizer.vocab_size)))
    return {piece[1:]: number for number, piece in pieces if re.fullmatch(" [a-z]{3,}", piece)}


def frequent_words(texts: list[str], tokenizer: Tokenizer) -> list[str]:
    """Words of four or more small letters that stand in the texts and are one token; the most frequent first."""
    counted = Counter(word for text in texts for word in re.findall(r"\b[a-z]{4,}\b", text))
    known = word_tokens(tokenizer)
    return [word for word, _ in counted.most_common() if word in known]


@torch.no_grad()
def asked_for_first_letter(stage: Stage, words: list[str], questions: int = 100, shown: int = 6) -> float:
    """How often the model names the first letter of a word, after `shown` examples of how it is done with others.

    Of all its tokens only the 26 letters count: the most probable of them is its answer. No word is asked twice.
    """
    tokenizer, draw = stage.tokenizer, random.Random(0)
    rows, truth = [], []
    for word in draw.sample(words, questions):
        examples = draw.sample([other for other in words if other != word], shown)
        told = [f" The word {other} begins with {other[0]}." for other in examples]
        text = f"{''.join(told)} The word {word} begins with"
        rows.append([tokenizer.eot_id, *tokenizer.encode(text)])
        truth.append(ALPHABET.index(word[0]))
    ends = torch.tensor([len(row) - 1 for row in rows])
    padded = torch.tensor([row + [tokenizer.pad_id] * (int(ends.max()) + 1 - len(row)) for row in rows])
    states = stage.model.trunk(padded)[torch.arange(questions), ends]  # padding stands behind: nobody looks there
    letters = torch.tensor([tokenizer.encode(f" {letter}")[0] for letter in ALPHABET])
    answers = stage.model.unembedding(states)[:, letters].argmax(dim=-1)
    return float((answers == torch.tensor(truth)).float().mean())


def letter_from(vectors: Tensor, words: list[str], which: int) -> float:
    """How often a linear map, fitted on other words, reads a letter of a word off its vector: (words, D).

    Ridge regression to the 26 letters, on all but 400 words; `which` is 0 for the first letter, -1 for the last.
    """
    letters = torch.tensor([ALPHABET.index(word[which]) for word in words])
    x = F.pad(F.normalize(vectors.detach()), (0, 1), value=1.0)
    order = torch.randperm(len(words), generator=torch.Generator().manual_seed(0))
    known, asked = order[:-400], order[-400:]
    a, y = x[known], F.one_hot(letters[known], 26).float()
    weights = torch.linalg.solve(a.T @ a + 10 * torch.eye(a.size(1)), a.T @ y)
    return float(((x[asked] @ weights).argmax(dim=-1) == letters[asked]).float().mean())


def careless(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    """The same tokenizer as the library makes it by default: a control token's name in a text becomes that token."""
    library = tokenizers.Tokenizer.from_str(tokenizer._library.to_str())
    library.encode_special_tokens = False
    return library


@torch.no_grad()
def loss_after(model: Transformer, before: Tensor, ids: Tensor) -> float:
    """The model's surprise at ids (B, T), nats a token, when `before` (B, S) stands in front of them."""
    rows = torch.cat([before, ids], dim=1)
    logits = model.unembedding(model.trunk(rows[:, :-1])[:, -ids.size(1) :])
    return float(F.cross_entropy(logits.flatten(0, 1), ids.flatten()))
