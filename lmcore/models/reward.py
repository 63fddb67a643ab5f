"""The reward model: a language model that has learnt to grade (InstructGPT, arXiv 2203.02155, section 3.5)."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmcore.models.heads import RewardHead
from lmcore.models.transformer import Transformer

ROWS_AT_ONCE = 256


class RewardModel(nn.Module):
    """Reads a prompt with its answer and gives one number at the end-of-turn token.

    `reward(prompts, completions) -> float (B,)`, the shape of every reward of the course; no gradients.
    `reward.scores(ids, mask) -> (B,)` is the same for tokens, with gradients.

    To find "The capital of France is Rome." wrong, a model must recall Paris and then compare. A network of four layers
    is at its end when it has recalled. So it may have a **reader**, a language model that is not trained: beside each
    token of the answer, the trunk then reads how much that token surprised the reader (see `surprise`).

    Args: trunk: a causal Transformer (usually a copy of the SFT model), trained in place; tokenizer: its tokenizer;
        reader: a causal Transformer with the same vocabulary (usually the SFT model itself), never changed; or None.
    Raises: ValueError for a masked model, which reads no answer in order.
    """

    def __init__(
        self,
        trunk: Transformer,
        tokenizer: Any,
        generator: torch.Generator | None = None,
        reader: Transformer | None = None,
    ):
        super().__init__()
        if not all(model.config.causal for model in (trunk, reader) if model is not None):
            raise ValueError("a reward model needs a causal transformer; this one fills blanks (causal=False)")
        self.trunk, self.tokenizer, self.config = trunk, tokenizer, trunk.config
        self.head = RewardHead(trunk.config.n_embd, generator).to(trunk.device)
        self.reader = None if reader is None else copy.deepcopy(reader).eval().requires_grad_(False)
        if reader is not None:
            self.notes = nn.Linear(2, trunk.config.n_embd, bias=False, device=trunk.device)
            nn.init.zeros_(self.notes.weight)  # at first it reads as it did without
        self.register_buffer("centre", torch.zeros((), device=trunk.device))  # the raw score that counts as 0

    def forward(self, prompts: Sequence[str], completions: Sequence[str]) -> Tensor:
        """The reward of each answer, float (B,); raises ValueError if there are not as many answers as prompts."""
        if len(prompts) != len(completions):
            raise ValueError(f"{len(prompts)} prompts and {len(completions)} answers: a reward needs one of each")
        rows = [self.as_ids(*both) for both in zip(prompts, completions, strict=True)]
        with torch.no_grad():
            batches = [rows[at : at + ROWS_AT_ONCE] for at in range(0, len(rows), ROWS_AT_ONCE)]
            scores = [self.scores(*self.as_batch(batch)) for batch in batches]
        return torch.cat(scores) if scores else self.centre.new_zeros(0)

    def scores(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Rewards (B,) of token sequences, read at each one's last real token.

        Args: ids long (B, T); mask bool (B, T), True on real tokens; padding on either side changes nothing.
        """
        last = mask.size(1) - 1 - mask.flip(1).long().argmax(dim=1)  # (B,)
        notes = None if self.reader is None else self.notes(self.surprise(ids, mask))  # (B, T, C)
        hidden = self.trunk.trunk(ids, mask, notes=notes)  # (B, T, C)
        return self.head(hidden[torch.arange(len(ids), device=ids.device), last]) - self.centre

    @torch.no_grad()
    def surprise(self, ids: Tensor, mask: Tensor) -> Tensor:
        """How the reader finds each token of the answer, float (B, T, 2), 0 elsewhere.

        First log p of the token, given all before it; then how far that is below log p of the likeliest token.
        Args: as for `scores`. The answer is what follows the last <|assistant|>.
        """
        turns = ((ids == self.tokenizer.assistant_id) & mask).flip(1).cumsum(1).flip(1)  # here and to come
        answer = (turns == 0) & mask & F.pad(mask, (1, -1))  # and something real stands before it
        row, place = answer.nonzero(as_tuple=True)
        hidden = self.reader.trunk(ids, mask)[row, place - 1]  # (tokens, C)
        expected = self.reader.unembedding(hidden).log_softmax(dim=-1)  # (tokens, V)
        said = expected.gather(1, ids[row, place, None])[:, 0]
        found = ids.new_zeros(*ids.shape, 2, dtype=expected.dtype)
        found[row, place] = torch.stack([said, said - expected.max(dim=1).values], dim=1)
        return found

    def as_ids(self, prompt: str, completion: str) -> list[int]:
        """The conversation as ids, from <|user|> to the answer's <|end|>; too long a one loses its beginning."""
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
        return self.tokenizer.chat(messages)[-self.config.context_length :]

    def as_batch(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Rows of ids as ids, mask (B, T), padded on the right, on the model's device."""
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.tokenizer.pad_id)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
        mask = torch.arange(longest) < torch.tensor([len(tokens) for tokens in rows])[:, None]
        return ids.to(self.trunk.device), mask.to(self.trunk.device)

    def normalise(self, prompts: Sequence[str], completions: Sequence[str]) -> float:
        """Shift all rewards so that these answers (demonstrations, or the SFT model's) get 0 on average.

        Preferences say only which answer is better; where zero lies is free, and PPO wants to know.
        Call it after training.
        Returns: what their average was. Raises: ValueError without answers.
        """
        if not completions:
            raise ValueError("there are no answers whose average could be 0")
        average = float(self(prompts, completions).double().mean())
        self.centre += average
        return average

    @property
    def device(self) -> torch.device:
        return self.trunk.device
