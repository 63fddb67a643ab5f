"""What the stages read: the mixture of human chat and almanac for pretraining, of demonstrations for fine-tuning."""

import itertools
import random

import torch
from torch import Tensor

from lmcore.data import almanac, corpus
from lmcore.data.tokenizer import Tokenizer

CHAT_REPEATS = 2  # the chat corpus, against
ALMANAC_CHARACTERS = 18_000_000  # as many tokens of the almanac: facts need exposure (about 100 each)


def documents(
    chat_repeats: int = CHAT_REPEATS,
    almanac_characters: int = ALMANAC_CHARACTERS,
    tales: bool = True,
    careless: bool = False,
) -> list[str]:
    """The pretraining text: conversations between people and the almanac, shuffled with a fixed seed.

    Args: tales, careless: see `almanac.documents`.
    """
    texts = list(corpus.chitchat()["train"]["text"]) * chat_repeats
    written = 0
    for document in almanac.documents(seed=1, tales=tales, careless=careless):
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


def conversations(demonstrations: int = 190_000, human_repeats: int = 2) -> list[dict]:
    """What supervised fine-tuning reads: demonstrations by a crowd, and some 4,000 exchanges between people, twice."""
    rows = list(itertools.islice(almanac.demonstrations(seed=0), demonstrations))
    rows += list(corpus.turn_pairs("train")) * human_repeats
    random.Random(0).shuffle(rows)
    return rows
