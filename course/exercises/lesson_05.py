"""Exercises of lesson 05: hiding tokens, scoring a sentence from both sides, and filling two blanks at once.

    from exercises.lesson_05 import mask_tokens
    mask_tokens.check(my_mask_tokens)
"""

import torch
from torch import Tensor

from exercises import expect
from widgets.exercise import Exercise, Misconception

MASK_ID = 6  # ids 0 to 6 are the course's special tokens, `<|mask|>` is the last of them

# --- Hiding tokens ----------------------------------------------------------------------------------------------


def my_mask_tokens(ids, rate, mask_id, generator):
    """Inputs with a share `rate` hidden, and labels that ask for the hidden ones; all long (B, T)."""
    hidden = torch.rand(ids.shape, generator=generator) < rate
    hidden = hidden & (ids > mask_id)  # never a special token
    inputs = ids.masked_fill(hidden, mask_id)
    labels = ids.masked_fill(~hidden, -100)
    return inputs, labels


def _check_mask_tokens(learner) -> str:
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(MASK_ID + 1, 4096, (64, 128), generator=generator)
    ids[:, 0] = 1  # <|endoftext|> begins every row
    ids[::2, 100:] = 0  # and every other row is padded
    ordinary = ids > MASK_ID
    for rate in (0.15, 0.4):
        inputs, labels = _masked(learner, ids, rate, seed=0)
        hidden, asked = inputs != ids, labels != -100
        if not hidden.any():
            raise Misconception(f"Nothing is hidden: the inputs equal the ids, and {rate:.0%} should be `mask_id`.")
        if (inputs[hidden] != MASK_ID).any():
            value = int(inputs[hidden][inputs[hidden] != MASK_ID][0])
            raise Misconception(f"A token was replaced by {value}. What is hidden becomes `mask_id`, here {MASK_ID}.")
        _check_labels(ids, labels, hidden, asked)
        if (hidden & ~ordinary).any():
            row, column = (hidden & ~ordinary).nonzero()[0].tolist()
            raise Misconception(
                f"Row {row}, position {column} held a special token (id {int(ids[row, column])}) and you hid it. The "
                "model would learn to write padding and turn markers into blanks: hide only ids above `mask_id`."
            )
        share = float(hidden[ordinary].float().mean())
        if abs(share - (1 - rate)) < 0.03:
            raise Misconception(f"You hid {share:.0%} and kept {1 - share:.0%}; it should be the other way round.")
        if abs(share - rate) > 0.03:
            raise Misconception(f"For `rate = {rate}` you hid {share:.0%} of the ordinary tokens.")
        if (hidden[1::2] == hidden[1]).all():
            raise Misconception("Every row has its blanks in the same places: draw a number for every token.")
    again, other = _masked(learner, ids, 0.4, seed=0)[0], _masked(learner, ids, 0.4, seed=1)[0]
    if torch.equal(inputs, other):
        raise Misconception("The same tokens are hidden every time. Each pass over the text should hide other ones.")
    if not torch.equal(inputs, again):
        raise Misconception(
            "The same generator with the same seed hid different tokens: hand `generator=generator` to the random "
            "function, so that an experiment can be repeated."
        )
    return "Right on 64 rows with padding, for 15 % and 40 %: hidden tokens only are asked for, special ones never."


def _masked(learner, ids: Tensor, rate: float, seed: int) -> list[Tensor]:
    answer = learner(ids, rate, MASK_ID, torch.Generator().manual_seed(seed))
    parts = expect.several(answer, 2, "inputs and labels, two tensors")
    return [expect.tensor(part, tuple(ids.shape), name) for part, name in zip(parts, ("inputs", "labels"), strict=True)]


def _check_labels(ids: Tensor, labels: Tensor, hidden: Tensor, asked: Tensor) -> None:
    if asked.all():
        raise Misconception(
            "Your labels ask for every token, also those that stand there to be read. The model would mostly be paid "
            "for copying. Put -100 where nothing is hidden: the loss leaves these out."
        )
    if torch.equal(asked, ~hidden):
        raise Misconception("Your labels are upside down: they ask for what can be read, and not for what is hidden.")
    if (labels[hidden] == MASK_ID).all():
        raise Misconception(
            "Where a token is hidden your label is `mask_id`: the labels were made after hiding, and the right "
            "answer was gone by then. Take them from the untouched ids."
        )
    if (asked & ~hidden).any():
        row, column = (asked & ~hidden).nonzero()[0].tolist()
        raise Misconception(f"Row {row}, position {column} can be read, and your labels ask for it. It should be -100.")
    if (hidden & ~asked).any():
        row, column = (hidden & ~asked).nonzero()[0].tolist()
        raise Misconception(f"Row {row}, position {column} is hidden, but your labels do not ask for it.")
    if not torch.equal(labels[hidden], ids[hidden]):
        raise Misconception("Where a token is hidden, the label should be that very token, and yours is another one.")


mask_tokens = Exercise(
    "05.mask_tokens",
    question="""
        BERT learns from blanks (Devlin et al. 2018). Make them: hide a share `rate` of the tokens in `ids` (long,
        `(B, T)`), chosen at random with `generator`, and return two tensors of the same shape.

        - inputs: the ids, with `mask_id` where a token is hidden
        - labels: the right token where one is hidden, and -100 everywhere else (torch's losses leave -100 out)

        Special tokens, here all ids up to `mask_id`, are never hidden. The ids that you were given stay as they are.
        """,
    check=_check_mask_tokens,
    hints=[
        "Draw a number between 0 and 1 for each token: `torch.rand(ids.shape, generator=generator)`. Which are below "
        "`rate`?",
        "You have truth values `hidden`. Combine them with `ids > mask_id`, so that special tokens are out.",
        "`ids.masked_fill(where, value)` makes a changed copy: once where hidden, once where *not* hidden.",
    ],
    solution=my_mask_tokens,
)


# --- Scoring a sentence from both sides -------------------------------------------------------------------------


def my_pseudo_log_likelihood(logprob_fn, ids, mask_id):
    """Sum of log p(token | all the others): ids long (T,), logprob_fn(ids) -> (T, vocabulary)."""
    total = 0.0
    for t in range(len(ids)):
        one_hidden = ids.clone()
        one_hidden[t] = mask_id
        total += float(logprob_fn(one_hidden)[t, ids[t]])
    return total


class _SmallModel:
    """A masked language model of a few random numbers. A token that it can see it simply repeats."""

    def __init__(self, T: int, vocabulary: int = 16):
        generator = torch.Generator().manual_seed(T)
        self.influence = torch.randn(vocabulary, vocabulary, generator=generator)
        self.nearness = 0.6 ** (torch.arange(T)[:, None] - torch.arange(T)).abs().float()
        self.calls: list[Tensor] = []

    def __call__(self, ids: Tensor) -> Tensor:
        if not isinstance(ids, Tensor) or ids.shape != (len(self.nearness),):
            got = f"shape `{tuple(ids.shape)}`" if isinstance(ids, Tensor) else expect.kind(ids)
            raise Misconception(f"`logprob_fn` was given {got}; it takes all {len(self.nearness)} ids of the sentence.")
        self.calls.append(ids.clone())
        seen = (ids != MASK_ID).float()
        logits = (self.nearness * seen) @ self.influence[ids]  # (T, vocabulary)
        logits[torch.arange(len(ids)), ids] += 8 * seen
        return logits.log_softmax(dim=-1)


def _check_pseudo_log_likelihood(learner) -> str:
    for sentence in ([8, 12, 7, 15, 9], [10, 7, 14]):
        ids, model = torch.tensor(sentence), _SmallModel(len(sentence))
        answer = learner(model, ids.clone(), MASK_ID)
        if isinstance(answer, Tensor) and answer.shape == ids.shape:
            raise Misconception(f"You returned {len(ids)} numbers, one a token. The sentence's score is their sum.")
        found = expect.number(answer, "one number")
        right = my_pseudo_log_likelihood(_SmallModel(len(ids)), ids, MASK_ID)
        if abs(found - right) < 1e-3:
            continue
        _name_what_was_hidden(model.calls, len(ids))
        _name_what_was_added(found, ids, right)
    return "Right for two sentences: every token was guessed from both its sides."


def _name_what_was_hidden(calls: list[Tensor], T: int) -> None:
    if not calls:
        raise Misconception("Your function never asked the model: call `logprob_fn` with one token hidden at a time.")
    blanks = [int((call == MASK_ID).sum()) for call in calls]
    if max(blanks) == 0:
        raise Misconception(
            "The model was asked with nothing hidden. It can see the answer, so you measured how well it copies."
        )
    if min(blanks) == T:
        raise Misconception(
            f"You hid all {T} tokens at once: the model had nothing to read. Each token should be guessed with all the "
            "others in sight, so one at a time."
        )
    if blanks == list(range(1, T + 1)):
        raise Misconception(
            f"The blanks pile up: in call {T} all {T} tokens were hidden. Begin each time with the whole sentence, "
            "or put the token back."
        )
    if blanks == list(range(T, 0, -1)):
        raise Misconception(
            "You hid everything from a token on, so it was guessed from its left side only. That is what a GPT does; "
            "this model may read both sides."
        )
    if set(blanks) != {1}:
        raise Misconception(f"The model was asked {len(calls)} times, with {blanks} tokens hidden: hide one at a time.")
    if len({int((call == MASK_ID).nonzero()) for call in calls}) < T:
        raise Misconception(f"Some of the {T} tokens were never hidden: each has its turn, the first and the last too.")


def _name_what_was_added(found: float, ids: Tensor, right: float) -> None:
    T = len(ids)
    hidden = ids.repeat(T, 1)
    hidden.fill_diagonal_(MASK_ID)
    logprobs = torch.stack([_SmallModel(T)(row) for row in hidden])  # (T hidden, T, vocabulary)
    each = logprobs[torch.arange(T), torch.arange(T)]  # (T, vocabulary): at the hidden place
    mistakes = {
        "You added the log-probabilities of all positions in each call. Only the hidden one is a guess; the others are "
        "in plain sight.": logprobs[:, torch.arange(T), ids].sum(),
        "You added the log-probability of the mask token itself. Ask for the token that was hidden, `ids[t]`.":
            each[:, MASK_ID].sum(),
        "You returned the average over the tokens; the sum is asked for.": torch.tensor(right / T),
        "The sign is wrong: a log-probability is never above 0, and neither is a sum of them.": torch.tensor(-right),
        "You added probabilities. Chances of things that happen together multiply, so their *logarithms* add.":
            each[torch.arange(T), ids].exp().sum(),
        "You returned a probability; its logarithm is asked for (products of many become too small for a computer).":
            torch.tensor(right).exp(),
        "You read one position too early. A GPT's output at t - 1 guesses token t; here the output at t guesses t.":
            sum(logprobs[t, t - 1, ids[t]] for t in range(T)),
    }
    expect.none_of(torch.tensor(found), mistakes)
    raise Misconception(f"The right tokens were hidden, but their sum is {right:.3f}, and you have {found:.3f}.")


pseudo_log_likelihood = Exercise(
    "05.pseudo_log_likelihood",
    question="""
        How likely does a masked model find a whole sentence? It cannot read from left to right as a GPT does, but it
        can guess each token from all the others. The sum of these log-probabilities is the sentence's
        *pseudo-log-likelihood* (Salazar et al. 2020, arXiv 1910.14659).

        `logprob_fn(ids)` takes ids `(T,)` and returns log-probabilities `(T, vocabulary)`; row t is the guess for
        position t. Hide one token at a time, and return the sum of what the model thinks of the true ones.
        """,
    check=_check_pseudo_log_likelihood,
    hints=[
        "A loop over the positions. In each round the model is asked once, and one number is added.",
        "In round t, work on `ids.clone()`, in which only position t is `mask_id`.",
        "From the answer you need row t, and in it the column of the token that you hid: `[t, ids[t]]`.",
    ],
    solution=my_pseudo_log_likelihood,
)


# --- Two blanks at once -----------------------------------------------------------------------------------------


def my_best_pair(p_a, p_b_given_a):
    """The most probable pair (a, b): p_a (A,), p_b_given_a (A, B) with p(b | a) in row a."""
    joint = p_a[:, None] * p_b_given_a  # (A, B): p(a and b)
    return divmod(int(joint.argmax()), joint.size(1))


# What a wrong plan would return, and what to say about it; p is p(a), q is p(b | a).
_PLANS = {
    "You chose each word on its own: the most probable first one, and the second one that is most probable when the "
    "first is unknown. Each is fine, but they need not fit each other, and so two blanks become `New Francisco`.":
        lambda p, q: (int(p.argmax()), int((p @ q).argmax())),
    "You took the most probable first word, and then the best second word for it. Looking ahead would have shown that "
    "another first word leads to a more probable pair.": lambda p, q: (int(p.argmax()), int(q[p.argmax()].argmax())),
    "You looked at p(b given a) alone. A second word may be certain after a first one that hardly ever stands there: "
    "multiply by p(a).": lambda p, q: divmod(int(q.argmax()), q.size(1)),
    "You added the two probabilities. That this happens *and* that happens is a product.":
        lambda p, q: divmod(int((p[:, None] + q).argmax()), q.size(1)),
}


def _tables():
    """First New or San, then York, Francisco or Delhi; after that, random numbers."""
    yield torch.tensor([0.55, 0.45]), torch.tensor([[0.50, 0.05, 0.45], [0.05, 0.90, 0.05]])
    for seed in (116, 0, 1, 2):  # with 116 each wrong plan goes wrong in its own way
        generator = torch.Generator().manual_seed(seed)
        p_a = torch.randn(4, generator=generator).softmax(dim=0)
        yield p_a, (2 * torch.randn(4, 6, generator=generator)).softmax(dim=1)


def _check_best_pair(learner) -> str:
    for p, q in _tables():
        answer = learner(p, q)
        if isinstance(answer, int) or (isinstance(answer, Tensor) and not answer.dim()):
            raise Misconception(
                f"One number, {int(answer)}: `argmax` counts through the table row by row. `divmod({int(answer)}, "
                f"{q.size(1)})` turns it into a and b."
            )
        parts = expect.several(answer, 2, "a pair, a and b")
        a, b = (expect.number(part, "a pair of whole numbers") for part in parts)
        if a % 1 or b % 1:
            raise Misconception(
                f"You returned ({a:.2f}, {b:.2f}): how probable, not which. `max` gives the one, `argmax` the other."
            )
        right = my_best_pair(p, q)
        if (a, b) == right:
            continue
        if (b, a) == right:
            raise Misconception(f"You returned ({a}, {b}): that is the right pair the wrong way round, a comes first.")
        for sentence, plan in _PLANS.items():
            if (a, b) == plan(p, q):
                raise Misconception(sentence)
        raise Misconception(
            f"You returned ({a}, {b}), where ({right[0]}, {right[1]}) is more probable. What is p(a and b)?"
        )
    return "“San Francisco”, and four more pairs that filling one blank at a time would have missed."


best_pair = Exercise(
    "05.best_pair",
    question="""
        “I flew to ___ ___.” Two blanks: a masked model guesses each **as if the other were not its business**. You
        have more: `p_a[a]`, how probable each first word is, and `p_b_given_a[a, b]`, how probable each second word is
        once the first is there. Return the most probable **pair**, as two whole numbers `(a, b)`.
        """,
    check=_check_best_pair,
    hints=[
        "p(a and b) = p(a) · p(b given a). How large is the table of all pairs?",
        "`p_a[:, None]` is a column; multiplied by the table, it scales each row by the probability of its first word.",
        "`argmax()` counts through the table row by row; `divmod(that, number of second words)` gives a and b.",
    ],
    solution=my_best_pair,
)
