"""Exercises of lesson 04: a causal mask, attention itself, and the head that learnt to repeat.

    from exercises.lesson_04 import causal_mask
    causal_mask.check(my_causal_mask)
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises import expect
from widgets.exercise import Exercise, Misconception

# --- Who may look at whom ---------------------------------------------------------------------------------------


def my_causal_mask(T):
    """Bool (T, T): True where position t (row) may look at position s (column)."""
    positions = torch.arange(T)
    return positions[None, :] <= positions[:, None]


def _check_causal_mask(learner) -> str:
    for T in (6, 1, 9):
        mask = expect.tensor(learner(T), (T, T), called=f"mask for `T = {T}`")
        if mask.dtype != torch.bool:
            raise Misconception(
                f"Your mask holds numbers (`{mask.dtype}`); truth values are asked for, `True` where a position may "
                "look. A comparison gives them, or `.bool()` if 1 already means *may look*."
            )
        allowed = torch.ones(T, T, dtype=torch.bool).tril()
        if torch.equal(mask, allowed):
            continue
        if torch.equal(mask, ~allowed):
            raise Misconception("Your mask is upside down: it is `True` exactly where looking is forbidden.")
        if torch.equal(mask, allowed.T):
            raise Misconception(
                "Rows and columns are swapped: your mask lets position 3 see position 5, but not position 1. The row "
                "is the position that looks, the column is the one that is looked at."
            )
        if torch.equal(mask, allowed.tril(-1)):
            raise Misconception(
                "Your mask hides every position from itself. Then position 0 has nothing at all to look at, and a "
                "softmax over nothing is nan."
            )
        future = mask & ~allowed
        if future.any():
            t, s = (3, 5) if T == 6 and future[3, 5] else future.nonzero()[0].tolist()
            raise Misconception(
                f"Your mask lets position {t} see position {s}: that word has not been written yet. In training the "
                "model would copy the answer, and in use it would have nothing to copy from."
            )
        t, s = (allowed & ~mask).nonzero()[0].tolist()
        raise Misconception(f"Your mask hides position {s} from position {t}, which comes later and may look back.")
    return "Right for 1, 6 and 9 positions: everyone sees the past and themselves, nobody the future."


causal_mask = Exercise(
    "04.causal_mask",
    question="""
        A model that writes one word after another must not look at words that are not written yet. Write the
        **causal mask** for `T` positions, the same one that GPT uses:

        - the row is the position that looks, the column is the one looked at
        - `True` where looking is allowed: at itself, and at everything before

        Return a tensor of shape `(T, T)` with truth values (`torch.bool`).
        """,
    check=_check_causal_mask,
    hints=[
        "Draw it for three positions on paper, a row for each position that looks. Which triangle is `True`?",
        "Position t may look at position s when `s <= t`. `torch.arange(T)` gives all positions at once.",
        "Compare a row of positions with a column of positions, `p[None, :]` with `p[:, None]`, and torch makes "
        "the square. (`torch.tril` gets there, too.)",
    ],
    solution=my_causal_mask,
)


# --- Scaled dot-product attention -------------------------------------------------------------------------------


def my_attention(q, k, v, mask):
    """What each query gathers: q (T, D), k (S, D), v (S, E), mask bool (T, S) -> (T, E)."""
    scores = q @ k.T / math.sqrt(q.size(-1))  # (T, S): how well each query and key fit
    scores = scores.masked_fill(~mask, float("-inf"))
    weights = scores.softmax(dim=-1)  # (T, S): each row sums to 1
    return weights @ v


def _check_attention(learner) -> str:
    generator = torch.Generator().manual_seed(4)
    T, S, D, E = 5, 7, 4, 3
    third = (torch.arange(T)[:, None] + 2 * torch.arange(S)) % 3 == 0  # some of every row, some of every column
    for mask in (~third, torch.ones(T, S, dtype=torch.bool)):
        q, k, v = (torch.randn(n, d, generator=generator) for n, d in ((T, D), (S, D), (S, E)))
        found = learner(q, k, v, mask)
        if isinstance(found, Tensor) and found.shape == (T, S):
            raise Misconception(
                f"You returned the weights, shape `({T}, {S})`. The result of attention is what they gather: "
                "`weights @ v`."
            )
        found = expect.tensor(found, (T, E))
        if not expect.close(found, F.scaled_dot_product_attention(q, k, v, attn_mask=mask)):
            # With the identity as values, what is gathered is the weights themselves.
            weights = expect.tensor(learner(q, k, torch.eye(S), mask), (T, S), called="result for `v = torch.eye(S)`")
            _name_the_mistake(weights, q @ k.T, mask, D)
            raise Misconception("Your weights are right, but what they gather is not: the result is `weights @ v`.")
    return "Equal to torch's own `scaled_dot_product_attention`, with and without a mask."


def _name_the_mistake(weights: Tensor, scores: Tensor, mask: Tensor, D: int) -> None:
    T, S = scores.shape
    seen, rows, columns = weights[mask], weights.sum(dim=1), weights.sum(dim=0)
    if (weights < 0).any():
        raise Misconception(f"Some of your weights are negative ({float(weights.min()):.2f}): is the softmax missing?")
    if (weights[~mask] > 1e-6).any():
        if (seen < 1e-6).all():
            raise Misconception("You hid what may be seen: the mask is `True` where looking is *allowed*, use `~mask`.")
        t, s = ((weights > 1e-6) & ~mask).nonzero()[0].tolist()
        zeroed = scores * mask
        if any(expect.close(weights, (zeroed * scale).softmax(dim=1)) for scale in (1.0, D**-0.5)):
            raise Misconception(
                f"You set hidden scores to 0, and query {t} still gives weight {float(weights[t, s]):.2f} to the "
                f"hidden key {s}, because exp(0) is 1. Only a score of minus infinity becomes a weight of 0."
            )
        raise Misconception(
            f"Query {t} gives weight {float(weights[t, s]):.2f} to key {s}, which the mask hides. Set hidden scores to "
            "minus infinity before the softmax."
        )
    if not expect.close(rows, torch.ones(T)):
        if expect.close(columns, torch.ones(S)):
            raise Misconception(
                f"Softmax over the wrong axis: for each *key* your weights sum to 1, but for query 0 they sum to "
                f"{float(rows[0]):.2f}. Each query shares out one whole among the keys: `softmax(dim=-1)`."
            )
        raise Misconception(
            f"The weights of query 0 sum to {float(rows[0]):.2f}, not 1. Was the mask applied after the softmax? Then "
            "hidden keys have already taken their share. Hide them before."
        )
    # Rows of log-weights are rows of scores, times a factor, plus something: read the factor off.
    visible = mask.float()
    centred = [x - (x * visible).sum(1, keepdim=True) / visible.sum(1, keepdim=True)
               for x in (weights.clamp(min=1e-30).log(), scores)]
    logs, plain = (x[mask] for x in centred)
    factor = float((logs * plain).sum() / (plain * plain).sum())
    if not expect.close(logs, factor * plain):
        t, s = ((weights - _right(scores, mask, D)).abs() > 1e-4).nonzero()[0].tolist()
        raise Misconception(
            f"For query {t} and key {s} your weight is {float(weights[t, s]):.3f}; it should be "
            f"{float(_right(scores, mask, D)[t, s]):.3f}. The score of a query and a key is their dot product."
        )
    if abs(factor - D**-0.5) > 1e-3:
        said = {1.0: "not divided at all", 1 / D: "divided by D"}
        how = next((words for value, words in said.items() if abs(factor - value) < 1e-3), f"scaled by {factor:.3f}")
        raise Misconception(
            f"Your scores were {how}; they should be divided by the square root of D = {D}, the length of a query. "
            "Without it long queries make large scores, and softmax looks at one key only."
        )


def _right(scores: Tensor, mask: Tensor, D: int) -> Tensor:
    return (scores / math.sqrt(D)).masked_fill(~mask, -math.inf).softmax(dim=1)


attention = Exercise(
    "04.attention",
    question="""
        The equation that the whole course is built on (Vaswani et al. 2017, equation 1): each query compares itself
        with all keys, shares out its attention among them, and gathers their values in that proportion.

        `softmax(q kᵀ / √D) v`

        `q` is `(T, D)`, `k` is `(S, D)`, `v` is `(S, E)`. The mask is `(T, S)`, `True` where a query may look; a key
        that is hidden gets weight 0. Return what is gathered, `(T, E)`.
        """,
    check=_check_attention,
    hints=[
        "Three lines: scores of shape `(T, S)`, weights of the same shape, and the weights times the values.",
        "`q @ k.T` compares every query with every key. Divide by the square root of D. Each row of the weights sums "
        "to 1: over which axis does the softmax go?",
        "Softmax turns minus infinity into 0: `scores.masked_fill(~mask, float('-inf'))`, before the softmax.",
    ],
    solution=my_attention,
)


# --- An induction head ------------------------------------------------------------------------------------------


def my_induction_head(attention):
    """(layer, head) that continues repetitions: attention (n_layer, 1, n_head, T, T), second half = first half."""
    T = attention.size(-1)
    looks = attention[:, 0, :, T // 2 :]  # (n_layer, n_head, T/2, T): only the second half has a copy behind it
    after_the_copy = looks.diagonal(offset=1, dim1=-2, dim2=-1)  # row i is position T/2 + i, it looks at i + 1
    scores = after_the_copy.mean(dim=-1)  # (n_layer, n_head)
    return divmod(int(scores.argmax()), scores.size(1))


# What the heads of a made-up recording do: where position t looks (n tokens, then the same n again), how strongly.
_HEADS = {
    "induction": (lambda t, n: t - n + 1, 0.5),
    "copy": (lambda t, n: t - n, 0.8),
    "beyond": (lambda t, n: t - n + 2, 0.8),
    "previous": (lambda t, n: t - 1, 0.9),
    "itself": (lambda t, n: t, 0.9),
    "first": (lambda t, n: 0, 0.95),
    "once": (lambda t, n: t - n + 1 if t == n + 3 else 0, 0.97),
}
_DOES = {
    "copy": "looks at the earlier copy of the *same* token (T/2 back). An induction head looks one further, at what "
    "came *after* the copy (T/2 - 1 back): that is the one to repeat.",
    "beyond": "looks two tokens after the earlier copy: you averaged over the wrong diagonal. What comes next stands "
    "T/2 - 1 positions back.",
    "previous": "looks at the token before, wherever it is. That needs no repetition, so it is no induction.",
    "itself": "looks at itself. An induction head looks back, to what came after the earlier copy.",
    "first": "looks at the very first token, as many heads do that have nothing to say.",
    "once": "looks the right way at a single position. A maximum falls for that; take the mean over the second half.",
}


def _recording(places: dict[str, tuple[int, int]], n_layer: int, n_head: int, n: int, seed: int) -> Tensor:
    """(n_layer, 1, n_head, 2n, 2n): heads at these places do what `_HEADS` says, all others look about at random."""
    T = 2 * n
    random = torch.rand(n_layer, 1, n_head, T, T, generator=torch.Generator().manual_seed(seed)).tril() + 1e-9
    recording = random.tril() / random.tril().sum(dim=-1, keepdim=True)
    for name, (layer, head) in places.items():
        where, strength = _HEADS[name]
        for t in range(T):
            if 0 <= (s := where(t, n)) <= t and (t >= n or name in ("previous", "itself", "first", "once")):
                recording[layer, 0, head, t] *= 1 - strength
                recording[layer, 0, head, t, s] += strength
    return recording


def _check_induction_head(learner) -> str:
    for n_layer, n_head, n, seed in ((3, 4, 8, 0), (4, 6, 20, 1)):
        cells = torch.randperm(n_layer * n_head - 1, generator=torch.Generator().manual_seed(seed)) + 1  # not (0, 0)
        places = {name: divmod(int(cell), n_head) for name, cell in zip(_HEADS, cells, strict=False)}
        answer = learner(_recording(places, n_layer, n_head, n, seed))
        if isinstance(answer, int) or (isinstance(answer, Tensor) and not answer.dim()):
            raise Misconception(
                f"One number, {int(answer)}: `argmax` counts through the table row by row. "
                f"`divmod({int(answer)}, n_head)` turns it into a layer and a head."
            )
        pair = expect.several(answer, 2, "a layer and a head")
        found = tuple(int(expect.number(part, "a layer and a head, two whole numbers")) for part in pair)
        right = places["induction"]
        if found == right:
            continue
        if not (0 <= found[0] < n_layer and 0 <= found[1] < n_head) or found == right[::-1]:
            raise Misconception(
                f"You returned {found} for layers 0-{n_layer - 1} and heads 0-{n_head - 1}: the layer comes first. "
                "(The recording's axes are layer, 1, head, T, T.)"
            )
        name = next((name for name, place in places.items() if place == found), None)
        does = _DOES.get(name, "looks about at random in the recording that you were given.")
        raise Misconception(f"Layer {found[0]}, head {found[1]} {does}")
    return "Found in two recordings, between heads that look at copies, neighbours, and the first token."


induction_head = Exercise(
    "04.induction_head",
    question="""
        Read a row of random tokens twice to a model. In the second reading nothing but memory helps: a head that finds
        the earlier copy of the present token, and looks at what came **after** it, knows the next token. Such a head is
        called an *induction head* (Olsson et al. 2022, arXiv 2209.11895).

        You are given `recording.attention` of such a row, `(n_layer, 1, n_head, T, T)`; the second half of the T tokens
        repeats the first. Score every head by how much it looks, on average over the second half, at the token after
        the earlier copy, and return the best one as `(layer, head)`.
        """,
    check=_check_induction_head,
    hints=[
        "A token at position t stood at t - T/2 before. What came after it stands one further: T/2 - 1 back from t.",
        "All places that lie equally far back form a diagonal: `attention.diagonal(offset, dim1=-2, dim2=-1)`; below "
        "the main one the offset is negative. The mean over it is the score.",
        "`scores.argmax()` counts through the table row by row; `divmod(that, n_head)` gives layer and head.",
    ],
    solution=my_induction_head,
)
