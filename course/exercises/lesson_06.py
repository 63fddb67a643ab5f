"""Exercises of lesson 06: the loss of a language model, the learning rate of every step, and a scaling law.

`from exercises.lesson_06 import next_token_loss`, then `next_token_loss.check(my_next_token_loss)`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises import expect
from lmcore.trainers import PretrainConfig
from widgets.exercise import Exercise, Misconception

# --- What a GPT is trained on -------------------------------------------------------------------------------------


def my_next_token_loss(logits, ids):
    """Mean loss in nats: logits (B, T, V) of a model that has read ids (B, T); a number."""
    logprobs = logits[:, :-1].log_softmax(dim=-1)  # what was expected after each token but the last
    came = ids[:, 1:]  # what came
    return -logprobs.gather(2, came[..., None]).mean()


def _check_next_token_loss(learner) -> str:
    generator = torch.Generator().manual_seed(6)
    for B, T, V in ((2, 5, 7), (1, 2, 3), (4, 9, 11)):
        logits = 3 * torch.randn(B, T, V, generator=generator)
        ids = torch.randint(V, (B, T), generator=generator)
        answer = learner(logits.clone(), ids.clone())
        if isinstance(answer, Tensor) and answer.numel() in (B * (T - 1), B * T) and answer.numel() > 1:
            raise Misconception(f"You returned {answer.numel()} losses; their mean is asked for, one number.")
        found = torch.tensor(expect.number(answer, "one number, the mean loss"))
        right = _loss(logits[:, :-1], ids[:, 1:])
        if expect.close(found, right):
            continue
        expect.none_of(found, _wrong_losses(logits, ids, right))
        raise Misconception(
            f"For a batch of {B} texts of {T} tokens you find {float(found):.3f}; it should be {float(right):.3f}. "
            "Each position but the last guesses the token after it; the loss is minus the logarithm of its probability."
        )
    return "Right for three batches: every position is asked about the token that follows it."


def _loss(logits: Tensor, ids: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten())


def _wrong_losses(logits: Tensor, ids: Tensor, right: Tensor) -> dict[str, Tensor]:
    predictions = ids[:, 1:].numel()
    given = logits[:, :-1].gather(2, ids[:, 1:, None])  # the logits of the tokens that came
    mean_chance = logits[:, :-1].softmax(dim=-1).gather(2, ids[:, 1:, None]).mean()
    return {
        "You ask each position about its own token, which it has just read. A model that copies its input would be "
        "perfect, and useless. Compare position t with token t + 1.": _loss(logits, ids),
        "Your shift goes the wrong way: position t is asked about token t - 1, the past. Leave out the *last* of the "
        "predictions and the *first* of the tokens.": _loss(logits[:, 1:], ids[:, :-1]),
        "You asked the last position too, and took the first token for its answer: `roll` goes round in a circle. "
        "Nobody knows what comes after the last token: leave that prediction out.": _loss(logits, ids.roll(-1, 1)),
        "You added the losses up. The mean is asked for, so that texts can be compared.": right * predictions,
        "You divided by the number of texts; divide by the number of predictions.": right * (ids.size(1) - 1),
        "Your loss is in bits (logarithm to base 2); nats are asked for, the natural logarithm.": right / math.log(2),
        "The sign is missing: the logarithm of a probability is negative, the loss is minus that.": -right,
        "You took the logarithm of the mean probability; take each logarithm first, then the mean.": -mean_chance.log(),
        "You used the logits as they are. They are no logarithms of probabilities before `log_softmax`.": -given.mean(),
    }


next_token_loss = Exercise(
    "06.next_token_loss",
    question="""
        All of pretraining is one number that should become smaller. A model has read `ids` (B texts of T tokens) and
        gives `logits`, `(B, T, V)`: at each position, a score for every token of the vocabulary to come **next**.

        Return the mean, over all predictions whose answer is known, of minus the logarithm of the probability that the
        model gave to the token that really came. Write it without `F.cross_entropy`, for once.
        """,
    check=_check_next_token_loss,
    hints=[
        "How many predictions have a known answer? In a text of T tokens, one fewer than T.",
        "`logits[:, :-1]` are the predictions that can be checked, `ids[:, 1:]` is what came. Now they have the same "
        "length, and stand side by side.",
        "`log_softmax(dim=-1)` makes logarithms of probabilities; `.gather(2, came[..., None])` picks the one of the "
        "token that came.",
    ],
    solution=my_next_token_loss,
)


# --- The learning rate of every step ------------------------------------------------------------------------------


def my_learning_rate(step, peak, warmup, total, cooldown):
    """The learning rate of this step (0 is the first): up over `warmup` steps, flat, down over the last share."""
    rising = (step + 1) / warmup
    falling = (total - step) / (cooldown * total)
    return peak * min(1, rising, falling)


def _check_learning_rate(learner) -> str:
    for peak, warmup, total, cooldown in ((0.02, 20, 400, 0.5), (1.0, 4, 40, 0.25), (0.003, 1, 10, 0.5)):
        config = PretrainConfig(peak, warmup_steps=warmup, total_steps=total, cooldown=cooldown)
        what = f"`peak={peak}, warmup={warmup}, total={total}, cooldown={cooldown}`"
        found = [expect.number(learner(s, peak, warmup, total, cooldown), "one number") for s in range(total + 1)]
        right = [config.rate(step) for step in range(total + 1)]
        wrong = [s for s in range(total + 1) if not math.isclose(found[s], right[s], rel_tol=1e-4, abs_tol=1e-9)]
        if wrong:
            _name_the_wrong_rate(found, right, wrong[0], what, warmup, total, cooldown)
    return "The same as the trainer's own, for every step of three plans."


def _name_the_wrong_rate(found, right, step: int, what: str, warmup: int, total: int, cooldown: float) -> None:
    peak = max(right)
    falls_at = round(total * (1 - cooldown))
    if not all(map(math.isfinite, found)):
        raise Misconception(f"For {what} step {step} gets {found[step]}, which is not a number to take a step with.")
    if found[0] == 0:
        raise Misconception("Step 0 gets a learning rate of 0: it would learn nothing. It should get `peak / warmup`.")
    if step < warmup and math.isclose(found[0], peak) and warmup > 1:
        raise Misconception(
            "There is no warm-up: step 0 gets the full rate already, when the model is still all random and its "
            "gradients point anywhere."
        )
    if max(found) > 1.001 * peak:
        raise Misconception(f"For {what} the rate climbs to {max(found):.3g}: above the peak. The warm-up must end.")
    if step >= falls_at and all(math.isclose(rate, peak) for rate in found[falls_at:]):
        raise Misconception("It never falls: over the last `cooldown * total` steps the rate goes down to 0.")
    if cooldown != 0.5 and math.isclose(found[round(cooldown * total)], peak) and found[falls_at - 1] < 0.999 * peak:
        raise Misconception(
            f"For {what} your rate begins to fall at step {round(cooldown * total)}; `cooldown` is the share of the "
            f"steps *in* which it falls, so it begins {round(cooldown * total)} steps before the end, at {falls_at}."
        )
    if min(found) < 0:
        raise Misconception(f"For {what} the rate becomes negative ({min(found):.3g}): that would unlearn.")
    if found[-1] > 0.001 * peak:
        raise Misconception(f"For {what} the rate ends at {found[-1]:.3g}, at step {total}; it should have come to 0.")
    where = "while it rises" if step < warmup - 1 else "while it falls" if step > falls_at else "on the plateau"
    raise Misconception(
        f"For {what} step {step} gets {found[step]:.4g}, and should get {right[step]:.4g}. That is {where}."
    )


learning_rate = Exercise(
    "06.learning_rate",
    question="""
        How large should each step be? Small at first, while the gradients are still wild; large for most of the way;
        and smaller and smaller at the end, to settle down. Write the plan that our trainer follows:

        - **up**: step 0 gets `peak / warmup`, step 1 twice that, and so on; step `warmup - 1` gets `peak`
        - **flat** at `peak`
        - **down** in a straight line over the last `cooldown * total` steps (`cooldown` is a share, 0.5 is half), so
          that step `total` would get 0

        Return the rate of one `step`.
        """,
    check=_check_learning_rate,
    hints=[
        "Three straight lines. At each step, the lowest of the three is the rate: `min`.",
        "The rising line is `peak * (step + 1) / warmup`; it counts from 1, so that the first step learns something.",
        "The falling line is `peak` when `cooldown * total` steps are left, and 0 when none are left: "
        "`(total - step) / (cooldown * total)` of the peak.",
    ],
    solution=my_learning_rate,
)


# --- A scaling law ------------------------------------------------------------------------------------------------


def my_power_law(sizes, losses):
    """(a, b) of the law loss = a * size ** -b that lies closest to all points, on logarithmic axes."""
    x = torch.tensor(sizes, dtype=torch.float64).log()
    y = torch.tensor(losses, dtype=torch.float64).log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    a = (y.mean() - slope * x.mean()).exp()
    return float(a), float(-slope)


def _check_power_law(learner) -> str:
    points = [
        ([1000, 4000, 16000, 64000], [3.1, 2.65, 2.2, 1.9]),
        ([2e4, 3e4, 9e4, 5e5, 6e5], [4.0, 3.7, 3.4, 2.7, 2.6]),
    ]
    for sizes, losses in points:
        pair = expect.several(learner(list(sizes), list(losses)), 2, "two numbers, a and b")
        a, b = (expect.number(part, "two numbers, a and b") for part in pair)
        right = my_power_law(sizes, losses)
        if all(math.isclose(*both, rel_tol=1e-3) for both in zip((a, b), right, strict=True)):
            continue
        _name_the_wrong_law(a, b, right, sizes, losses)
    return "Both laws found. On logarithmic axes a law is a straight line, and a line can be drawn further."


def _name_the_wrong_law(a: float, b: float, right: tuple[float, float], sizes: list, losses: list) -> None:
    def same(*pairs) -> bool:
        return all(math.isclose(found, wanted, rel_tol=1e-3) for found, wanted in pairs)

    if same((a, right[1]), (b, right[0])):
        raise Misconception(
            "The two are swapped: a comes first, the loss of a model of size 1; b second, the exponent."
        )
    if same((a, right[0]), (b, -right[1])):
        raise Misconception(
            f"The sign of b: you return the slope, {b:.3f}. The law is written `size ** -b`, with the minus in it, so "
            "that b is positive when larger is better."
        )
    if same((abs(b), right[1])) and (same((a, math.log(right[0]))) or same((a, math.log10(right[0])))):
        raise Misconception(
            f"Your a, {a:.3f}, is still a logarithm: where the line meets the axis. Take its exponential to come back "
            "(of the same base as the logarithm)."
        )
    if same((b, right[1])) and (same((a, math.exp(math.log10(right[0])))) or same((a, 10 ** math.log(right[0])))):
        raise Misconception("Two kinds of logarithms: go back by 10 ** if you came by log10, and by exp if by log.")
    ends = math.log(losses[0] / losses[-1]) / math.log(sizes[-1] / sizes[0])
    if same((b, ends)):
        raise Misconception("You drew the line through the first and last point only; the ones between count as much.")
    mean_x, mean_y = sum(sizes) / len(sizes), sum(losses) / len(losses)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(sizes, losses, strict=True))
    slope /= sum((x - mean_x) ** 2 for x in sizes)
    if same((abs(b), abs(slope))):
        raise Misconception(
            "That is a straight line through the losses themselves: it would cross zero for a large enough model. "
            "Take the logarithm of the sizes and of the losses first."
        )
    raise Misconception(
        f"For sizes {sizes} and losses {losses} you find a = {a:.4g}, b = {b:.4g}; it should be a = {right[0]:.4g}, "
        f"b = {right[1]:.4g}. It is the straight line with the least squares, through log(loss) over log(size)."
    )


power_law = Exercise(
    "06.power_law",
    question="""
        In the lesson, torch fitted the scaling law for you. Find it yourself: given the `sizes` of some models and the
        `losses` they reached (two lists of numbers), return `(a, b)` such that

        `loss = a * size ** -b`

        fits best. On logarithmic axes this is a straight line, `log(loss) = log(a) - b * log(size)`, so use the *least
        squares* line through the logarithms: with x and y for them and a bar for the mean, its slope is
        `sum((x - x̄)(y - ȳ)) / sum((x - x̄)²)`, and it passes through `(x̄, ȳ)`.
        """,
    check=_check_power_law,
    hints=[
        "Take the logarithm of every size and of every loss; from there on it is only a straight line.",
        "The slope of the line is `-b`. The line passes through the means, so `log(a) = ȳ - slope * x̄`.",
        "At the end undo the logarithm: `a = exp(log_a)`.",
    ],
    solution=my_power_law,
)
