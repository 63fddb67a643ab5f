"""What lesson 05 measures with: held-out windows, blanks asked in bulk, and a masked model that is made to write."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.checkpoints import Stage
from lmcore.data import Tokenizer, almanac
from lmcore.data.almanac.tasks import invented
from lmcore.data.almanac.wording import naming
from lmcore.data.tokenizer import SPECIAL_TOKENS
from lmcore.evaluation.english import fluency
from lmcore.models import Transformer
from lmcore.trainers import pretrain


def windows(tokens: Tensor, count: int, length: int, ordinary: int) -> Tensor:
    """Up to `count` random pieces of a text, the same ones each time, whose token at `ordinary` is no special one."""
    pieces = pretrain.windows(tokens, count, length, torch.Generator().manual_seed(0))
    return pieces[pieces[:, ordinary] >= len(SPECIAL_TOKENS)]


def countries(tokenizer: Tokenizer, asked: str, at_most: int = 60) -> dict[str, list[tuple[str, str]]]:
    """Countries in three groups, each with its true `asked` (a column of the table) as far as that is one token."""
    known = [(naming("countries", row["name"]), row[asked], row["group"]) for row in almanac.table("countries")
             if len(tokenizer.encode(f" {row[asked]}")) == 1]  # fmt: skip
    return {
        "read about": [(name, truth) for name, truth, group in known if group == "taught"][:at_most],
        "never read": [(name, truth) for name, truth, group in known if group != "taught"],
        "invented": [(name, "") for name in invented("countries")[::3]][:at_most],
    }


def speakers(tokenizer: Tokenizer) -> dict[int, int]:
    """The token of each country's name and of its language, where both are one token."""
    tokens = [(tokenizer.encode(f" {row['name']}"), tokenizer.encode(f" {row['language']}"))
              for row in almanac.table("countries") if row["group"] == "taught"]  # fmt: skip
    return {name[0]: language[0] for name, language in tokens if len(name) == len(language) == 1}


@torch.no_grad()
def probabilities(model: Transformer, ids: Tensor, place: int) -> Tensor:
    """What the model thinks of one place in each row: ids long (B, T) -> (B, vocabulary), special tokens left out."""
    logits = model.unembedding(model.trunk(ids)[:, place])
    logits[:, : len(SPECIAL_TOKENS)] = -torch.inf
    return logits.softmax(dim=-1)


def ask(stage: Stage, sentences: list[str]) -> list[tuple[str, float]]:
    """The most probable token for the one `___` of each sentence, and its probability."""
    mask, eot = stage.tokenizer.mask_id, stage.tokenizer.eot_id
    answers = []
    for sentence in sentences:
        left, right = (stage.tokenizer.encode(side) for side in sentence.replace(" ___", "___").split("___"))
        ids = torch.tensor([[eot, *left, mask, *right, eot]])
        best = probabilities(stage.model, ids, 1 + len(left))[0].max(dim=-1)
        answers.append((stage.tokenizer.decode([int(best.indices)]).strip(), float(best.values)))
    return answers


def write_by_filling(stage: Stage, ids: Tensor, tokens: int, temperature: float, generator: torch.Generator) -> Tensor:
    """Put a blank behind each text, fill it, put a blank behind that: long (B, T) -> (B, T + tokens)."""
    for _ in range(tokens):
        blank = torch.full((len(ids), 1), stage.tokenizer.mask_id)
        chances = probabilities(stage.model, torch.cat([ids, blank], dim=1), ids.size(1))
        if temperature == 0:
            filled = chances.argmax(dim=-1, keepdim=True)
        else:
            filled = torch.multinomial((chances.log() / temperature).softmax(dim=-1), 1, generator=generator)
        ids = torch.cat([ids, filled], dim=1)
    return ids


@torch.no_grad()
def judged(gpt: Stage, mlm: Stage, ids: Tensor, start: int) -> dict[str, float]:
    """How believable the tokens from `start` on are, to both models (nats a token) and to counted pairs of words."""
    logits = gpt.model(ids[:, :-1])[:, start - 1 :]
    places = range(start, ids.size(1) - 4, 4)  # the masked model guesses every fourth, with both sides in sight
    hidden = [ids.index_fill(1, torch.tensor([place]), mlm.tokenizer.mask_id) for place in places]
    chances = [probabilities(mlm.model, rows, place) for rows, place in zip(hidden, places, strict=True)]
    pseudo = [F.nll_loss(chance.clamp(min=1e-9).log(), ids[:, place])
              for chance, place in zip(chances, places, strict=True)]  # fmt: skip
    texts = [gpt.tokenizer.decode(row) for row in ids[:, start:].tolist()]
    return {
        "GPT": float(F.cross_entropy(logits.flatten(0, 1), ids[:, start:].flatten())),
        "masked model": float(torch.stack(pseudo).mean()),
        "fluency": sum(map(fluency, texts)) / len(texts),
        "repetition": sum(map(repetition, ids[:, start:].tolist())) / len(ids),
    }


def repetition(ids: list[int], n: int = 3) -> float:
    """Which share of a text's groups of n tokens has stood in it before."""
    groups = [tuple(ids[place : place + n]) for place in range(len(ids) - n + 1)]
    return 1 - len(set(groups)) / len(groups)
