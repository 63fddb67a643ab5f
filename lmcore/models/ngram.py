"""The counting model: how often did each token follow the same few tokens before?

All n-grams of a text form a tree: "a b c" is the child c of "a b". Each level of the tree is one sorted array of keys,
number of the parent * vocab_size + token, so that the children of a node, its possible next tokens, stand in a row.

Most contexts of a new text were never seen, so probabilities are smoothed. Both kinds sum to 1 and leave nothing at 0:

- "kneser-ney": modified Kneser-Ney, interpolated (Chen and Goodman 1998, section 3). Below the highest order it counts
  not how often a token came, but after how many different ones. What stands at the start of a text is counted, and
  discounts that a small text cannot estimate are chosen, as in KenLM (Heafield et al. 2013, section 3).
- "backoff": where an n-gram was seen, its share, less a discount; where not, what the shorter context says, scaled to
  what is left (Katz 1987, with the absolute discount of Ney, Essen and Kneser 1994).

An end-of-text token can be the first of a context, "a text begins here", and never stands inside one: what comes
before it is another text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SMOOTHINGS = ("kneser-ney", "backoff")


@dataclass(frozen=True)
class Level:
    """The n-grams of one length: M of them after P contexts, which are the n-grams of the level above."""

    keys: np.ndarray  # int64 (M,): number of the context * vocab_size + token, sorted
    counts: np.ndarray  # int32 (M,): how often the n-gram stood in the text
    shares: np.ndarray  # float32 (M,): its share of its context, less the discount
    leftover: np.ndarray  # float32 (P,): what the shorter context's probabilities are multiplied by


class NGram:
    """Probabilities of the next token from counts of up to `order` tokens in a row.

    Args: order: 1 looks at no context, 2 at one token, ...; smoothing: "kneser-ney" or "backoff" (see above).
    Raises: ValueError for an order below 1 or an unknown smoothing.
    """

    def __init__(self, order: int = 3, vocab_size: int = 4096, smoothing: str = "kneser-ney", eot_id: int = 1):
        if order < 1:
            raise ValueError(f"order={order}: it is the length of the counted n-grams, at least 1")
        if smoothing not in SMOOTHINGS:
            raise ValueError(f"smoothing={smoothing!r} is unknown: there are {', '.join(SMOOTHINGS)}")
        self.order, self.vocab_size, self.smoothing, self.eot_id = order, vocab_size, smoothing, eot_id
        self.levels: list[Level] = []

    def fit(self, tokens: Tensor) -> "NGram":
        """Count a text: int (N,), an end-of-text token after each document. It forgets what it counted before.

        Raises: ValueError for an empty text, one too short for the order, or a token that is not in the vocabulary.
        """
        tokens = self._checked(tokens)
        if not len(tokens):
            raise ValueError("there is nothing to count: the text has no tokens")
        if tokens[0] != self.eot_id:
            tokens = np.concatenate([[self.eot_id], tokens])
        tree = self._tree(tokens)
        self.levels = []
        below = np.full(len(tokens), 1 / self.vocab_size)  # each token's probability after a shorter context
        for n, (keys, counts, numbers, places) in enumerate(tree, start=1):
            weights = counts
            if self.smoothing == "kneser-ney" and n < self.order:
                longer = tree[n][-1]  # one place of every n-gram with another token in front
                weights = np.bincount(numbers[longer], minlength=len(keys))
                if n > 1:  # nothing stands in front of a text's first token
                    weights = np.where(tokens[places - n + 1] == self.eot_id, counts, weights)
            parents, shorter = (len(tree[n - 2][0]), tree[n - 2][2]) if n > 1 else (1, None)
            self.levels.append(self._smoothed(keys, counts, weights, below[places], parents))
            below = self._joined(self.levels[-1], self._contexts(n, tokens, shorter), numbers, below)
        return self

    def probabilities(self, context: Sequence[int] | Tensor) -> Tensor:
        """How probable each token is to come next: context, ids of any length -> float (vocab_size,), sum 1."""
        tokens = self._checked(context)
        tokens = np.append(tokens[max(0, len(tokens) - self.order + 1) :], self.eot_id)  # some last one, to be replaced
        probabilities = np.full(self.vocab_size, 1 / self.vocab_size)
        for level, contexts, _ in self._walk(tokens):
            context = contexts[-1]
            if context >= 0:
                start, end = np.searchsorted(level.keys, [context * self.vocab_size, (context + 1) * self.vocab_size])
                numbers = np.full(self.vocab_size, -1)
                numbers[level.keys[start:end] % self.vocab_size] = np.arange(start, end)
                probabilities = self._joined(level, np.full_like(numbers, context), numbers, probabilities)
        return torch.from_numpy(probabilities).float()

    def log_probabilities(self, tokens: Sequence[int] | Tensor) -> Tensor:
        """Log probability, in nats, of each token after the up to order - 1 tokens before it: (N,) -> float (N,)."""
        tokens = self._checked(tokens)
        probabilities = np.full(len(tokens), 1 / self.vocab_size)
        for level, contexts, numbers in self._walk(tokens):
            probabilities = self._joined(level, contexts, numbers, probabilities)
        return torch.from_numpy(np.log(probabilities)).float()

    def known_context(self, tokens: Sequence[int] | Tensor) -> Tensor:
        """How many of the up to order - 1 tokens before each token the model has met in a row: (N,) -> long (N,)."""
        tokens = self._checked(tokens)
        known = np.zeros(len(tokens), dtype=np.int64)
        for n, (_, contexts, _) in enumerate(self._walk(tokens)):
            known[contexts >= 0] = n
        return torch.from_numpy(known)

    def count(self, ngram: Sequence[int] | Tensor) -> int:
        """How often these 1 to order tokens stood in the text in a row.

        Raises: ValueError for another number of tokens.
        """
        tokens = self._checked(ngram)
        if not 1 <= len(tokens) <= self.order:
            raise ValueError(f"{len(tokens)} tokens: this model counts 1 to {self.order} in a row")
        level, _, numbers = list(self._walk(tokens))[len(tokens) - 1]
        return int(level.counts[numbers[-1]]) if numbers[-1] >= 0 else 0

    def __repr__(self) -> str:
        return f"NGram(order={self.order}, vocab_size={self.vocab_size}, smoothing={self.smoothing!r})"

    def _checked(self, tokens: Sequence[int] | Tensor) -> np.ndarray:
        tokens = np.asarray(tokens, dtype=np.int64).reshape(-1)
        if len(tokens) and not 0 <= tokens.min() <= tokens.max() < self.vocab_size:
            wrong = tokens.min() if tokens.min() < 0 else tokens.max()
            raise ValueError(f"there is no token {wrong}: they are numbered from 0 to {self.vocab_size - 1}")
        return tokens

    def _tree(self, tokens: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        """For each length: keys and counts (M,), the n-gram that ends at each place (N,), a place of each (M,)."""
        tree, numbers = [], None
        for n in range(1, self.order + 1):
            contexts = self._contexts(n, tokens, numbers)
            places = np.flatnonzero(contexts >= 0)
            if not len(places):
                raise ValueError(f"order={self.order}: nowhere in this text do {n} tokens stand in a row; lower it")
            every = contexts[places] * self.vocab_size + tokens[places]
            order = np.argsort(every)
            every = every[order]
            starts = np.flatnonzero(np.concatenate([[True], every[1:] != every[:-1]]))  # of runs of equal keys
            keys, counts = every[starts], np.diff(starts, append=len(every))
            numbers = np.full(len(tokens), -1, dtype=np.int32)
            numbers[places[order]] = np.repeat(np.arange(len(keys)), counts)
            if n == 1:
                counts[keys == self.eot_id] -= 1  # nobody had to guess that the first text begins
            tree.append((keys, counts.astype(np.int32), numbers, places[order[starts]]))
        return tree

    def _contexts(self, n: int, tokens: np.ndarray, numbers: np.ndarray | None) -> np.ndarray:
        """Number of the n - 1 tokens before each token, or -1; `numbers`: of those that end with each token."""
        if n == 1:
            return np.zeros_like(tokens)
        contexts = np.concatenate([[-1], numbers[:-1]], dtype=np.int64)  # so that keys have room
        if n > 2:
            contexts[1:][tokens[:-1] == self.eot_id] = -1
        return contexts

    def _walk(self, tokens: np.ndarray):
        """Down the tree: each level with the number of every token's context there, and of the n-gram, or -1 (N,)."""
        if not self.levels:
            raise ValueError("this model has counted nothing yet: call fit(tokens) first")
        numbers = None
        for n, level in enumerate(self.levels, start=1):
            contexts = self._contexts(n, tokens, numbers)
            wanted = contexts * self.vocab_size + tokens
            found = np.searchsorted(level.keys, wanted).clip(max=len(level.keys) - 1)
            numbers = np.where((contexts >= 0) & (level.keys[found] == wanted), found, -1)
            yield level, contexts, numbers

    def _smoothed(
        self, keys: np.ndarray, counts: np.ndarray, weights: np.ndarray, below: np.ndarray, parents: int
    ) -> Level:
        """A level from its n-grams' counts, what they weigh, and their probabilities after the shorter context (M,)."""
        contexts = keys // self.vocab_size
        totals = np.bincount(contexts, weights, parents).clip(min=1)
        discounts = self._discounts(weights)[weights.clip(max=3)]
        leftover = np.bincount(contexts, discounts, parents) / totals
        if self.smoothing == "backoff":
            seen = weights > 0
            complete = np.bincount(contexts, seen, parents) == self.vocab_size  # nobody is left to receive anything
            discounts = np.where(complete[contexts], 0, discounts)
            unseen = 1 - np.bincount(contexts, below * seen, parents)
            leftover = np.where(complete, 0, leftover / np.where(complete, 1, unseen))
        leftover[np.bincount(contexts, minlength=parents) == 0] = 1  # only ever stood at an end
        shares = (weights - discounts) / totals[contexts]
        return Level(keys, counts, shares.astype(np.float32), leftover.astype(np.float32))

    def _discounts(self, weights: np.ndarray) -> np.ndarray:
        """What is taken from an n-gram that weighs 0, 1, 2, and 3 or more: float (4,)."""
        one, two, three, four = np.bincount(weights, minlength=5)[1:5]
        if self.smoothing == "backoff":
            discount = one / (one + 2 * two) if one and two else 0.5
            return np.array([0, discount, discount, discount])
        if one and two and three:
            y = one / (one + 2 * two)  # Chen and Goodman's equation 26
            discounts = np.array([0, 1 - 2 * y * two / one, 2 - 3 * y * three / two, 3 - 4 * y * four / three])
            if (discounts[1:] > 0).all():
                return discounts
        return np.array([0, 0.5, 1, 1.5])

    def _joined(self, level: Level, contexts: np.ndarray, numbers: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Probabilities after a context of n - 1 tokens, from those after n - 2: all (N,)."""
        shares = np.where(numbers >= 0, level.shares[numbers], 0)
        rest = np.where(contexts >= 0, level.leftover[contexts], 1) * below
        return shares + rest if self.smoothing == "kneser-ney" else np.where(shares > 0, shares, rest)
