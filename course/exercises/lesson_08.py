"""Exercises of lesson 08: what a preference is worth, the reward model's loss, and whether people agree.

`from exercises.lesson_08 import win_probability`, then `win_probability.check(my_win_probability)`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises import expect
from widgets.exercise import Exercise, Misconception

# --- Bradley-Terry ------------------------------------------------------------------------------------------------


def my_win_probability(strength, other):
    """How probable it is that the first is preferred, by Bradley and Terry; strengths in log-odds, a number."""
    return 1 / (1 + math.exp(other - strength))


def _check_win_probability(learner) -> str:
    for strength, other in ((2.0, 0.5), (0.0, 0.0), (0.2, 1.5), (-2.0, -5.0), (3.0, 4.0)):
        found = expect.number(learner(strength, other), "one number, a probability")
        right = 1 / (1 + math.exp(other - strength))
        if math.isclose(found, right, rel_tol=1e-4, abs_tol=1e-6):
            continue
        for sentence, wrong in _wrong_probabilities(strength, other).items():
            if math.isclose(found, wrong, rel_tol=1e-4, abs_tol=1e-6):
                raise Misconception(sentence)
        raise Misconception(
            f"For strengths {strength} and {other} you find {found:.4g}; it should be {right:.4g}. It depends on their "
            "difference only, and is 1/2 where there is none."
        )
    return "Right: only the difference counts, and the weaker one still wins sometimes."


def _wrong_probabilities(strength: float, other: float) -> dict[str, float]:
    difference, total = strength - other, strength + other
    return {
        "You have the probability that the *second* is preferred: the difference is turned round.": 1
        / (1 + math.exp(difference)),
        "You divide the strengths by their sum. That is for strengths that are positive numbers; log-odds can be 0 or "
        "negative: take `exp` of each first.": strength / total if total else math.nan,
        "That is the difference itself; a probability lies between 0 and 1: use the sigmoid.": difference,
        "These are the *odds*, how many wins come on one loss; the probability is odds / (1 + odds).": math.exp(
            difference
        ),
        "You look only at who is stronger. Bradley and Terry say how often the weaker one wins all the same.": float(
            difference > 0
        ),
        "That is the sigmoid of one strength alone; what counts is the difference of the two.": 1
        / (1 + math.exp(-strength)),
    }


win_probability = Exercise(
    "08.win_probability",
    question="""
        Bradley and Terry give everyone who is compared a *strength* in log-odds. Return the probability that the one
        with `strength` is preferred to the one with strength `other`: the **sigmoid** of the difference,

        `1 / (1 + exp(-difference))`
        """,
    check=_check_win_probability,
    hints=[
        "With equal strengths it is 1/2; with a difference of 1 it is 0.73, whatever the strengths are.",
        "`difference = strength - other`, and `math.exp` for the rest.",
    ],
    solution=my_win_probability,
)


# --- The loss of a reward model -----------------------------------------------------------------------------------


def my_reward_loss(rewards, chosen, rejected):
    """Mean loss in nats: rewards (N,) of some answers; chosen, rejected long (P,): which won and which lost."""
    margin = rewards[chosen] - rewards[rejected]  # (P,)
    return torch.log1p(torch.exp(-margin)).mean()  # -log sigmoid(margin)


def _check_reward_loss(learner) -> str:
    generator = torch.Generator().manual_seed(8)
    for answers, pairs in ((4, 6), (6, 9), (2, 1)):
        rewards = 2 * torch.randn(answers, generator=generator)
        chosen = torch.randint(answers, (pairs,), generator=generator)
        rejected = (chosen + 1 + torch.randint(answers - 1, (pairs,), generator=generator)) % answers
        answer = learner(rewards.clone(), chosen.clone(), rejected.clone())
        if isinstance(answer, Tensor) and answer.numel() == pairs and pairs > 1:
            raise Misconception(f"You returned {pairs} losses, one for each pair; their mean is asked for.")
        found = torch.tensor(expect.number(answer, "one number, the mean loss"))
        margin = rewards[chosen] - rewards[rejected]
        right = -F.logsigmoid(margin).mean()
        if expect.close(found, right):
            continue
        expect.none_of(found, _wrong_losses(rewards[chosen], rewards[rejected]))
        if expect.close(found, -F.logsigmoid((chosen - rejected).float()).mean()):
            raise Misconception("You subtracted the answers' numbers; their rewards are `rewards[chosen]` and so on.")
        raise Misconception(
            f"For {pairs} pairs you find {float(found):.3f}; it should be {float(right):.3f}: minus the logarithm of "
            "the sigmoid of (reward of the chosen - reward of the rejected), averaged."
        )
    huge = expect.number(
        learner(torch.tensor([-200.0, 200.0]), torch.tensor([0]), torch.tensor([1])), "one number, the mean loss"
    )
    if not math.isfinite(huge):
        return "Right. (With a margin of -400 `exp` overflows; `F.logsigmoid` would not. Margins are seldom that bad.)"
    return "Right for three batches, and even for a hopeless margin of -400."


def _wrong_losses(won: Tensor, lost: Tensor) -> dict[str, Tensor]:
    margin = won - lost
    losses, chances = -F.logsigmoid(margin), torch.sigmoid(margin)
    alone = -F.logsigmoid(won) - F.logsigmoid(-lost)
    return {
        "Winners and losers are exchanged: this loss teaches the model to prefer what was rejected.": -F.logsigmoid(
            -margin
        ).mean(),
        "The sign is missing: a logarithm of a probability is negative, the loss is minus that.": -losses.mean(),
        "That is the mean probability of the winners; the loss is minus the mean of its *logarithm*.": chances.mean(),
        "That is minus the mean probability of the winners; its *logarithm* is missing.": -chances.mean(),
        "You took the mean probability first, and then its logarithm. Take each logarithm first: one pair that is "
        "badly wrong has to hurt.": -chances.mean().log(),
        "That is minus the mean margin, without the sigmoid. It could fall for ever: the model would only make all "
        "numbers larger.": -margin.mean(),
        "You added the losses up; their mean is asked for.": losses.sum(),
        "You count how often the order is wrong. That has no gradient: nothing could be learnt from it.": (margin <= 0)
        .float()
        .mean(),
        "Your loss is in bits; nats are asked for, the natural logarithm.": losses.mean() / math.log(2),
        "You score each answer alone, good or bad; what is known is only which of two is better.": alone.mean(),
    }


reward_loss = Exercise(
    "08.reward_loss",
    question="""
        A reward model has read some answers and given each a number: `rewards`, `(N,)`. People have compared them in
        pairs: answer `chosen[i]` was preferred to answer `rejected[i]` (two tensors of P numbers of answers; an answer
        may be in many pairs, and win one and lose another).

        Return the mean over the pairs of minus the logarithm of the probability that Bradley and Terry give to what
        happened.
        """,
    check=_check_reward_loss,
    hints=[
        "`rewards[chosen]` picks the winners' rewards, `(P,)`; the losers' likewise.",
        "The probability that the winner wins is `torch.sigmoid(margin)`, with `margin` the difference of the two.",
        "`F.logsigmoid(margin)` is its logarithm. Minus, mean, done.",
    ],
    solution=my_reward_loss,
)


# --- Do they agree? -----------------------------------------------------------------------------------------------


def my_agreement(ballots):
    """The share of all two votes on one comparison that say the same: ballots is a list of lists such as ["a", "b"]."""
    same = pairs = 0
    for votes in ballots:
        for first in range(len(votes)):
            for second in range(first + 1, len(votes)):
                same += votes[first] == votes[second]
                pairs += 1
    return same / pairs


def _check_agreement(learner) -> str:
    for ballots in (
        [["a", "a", "b"], ["b", "b"], ["a", "b"]],
        [["a", "a", "a", "b"], ["b"], ["tie", "tie", "a"]],
        [["a", "b", "a", "b", "a"], ["b", "b", "b"], ["a"]],
    ):
        found = expect.number(learner([list(votes) for votes in ballots]), "one number, a share")
        right = my_agreement(ballots)
        if not math.isclose(found, right, rel_tol=1e-4, abs_tol=1e-6):
            _name_the_wrong_agreement(found, right, ballots)
    return "Right: every two people who saw the same comparison count once."


def _name_the_wrong_agreement(found: float, right: float, ballots: list[list[str]]) -> None:
    def share(votes: list[str]) -> float:
        both = [(x, y) for i, x in enumerate(votes) for y in votes[i + 1 :]]
        return sum(x == y for x, y in both) / len(both) if both else math.nan

    several = [votes for votes in ballots if len(votes) > 1]
    ordered = [(x, y) for votes in several for x in votes for y in votes]
    neighbours = [(x, y) for votes in several for x, y in zip(votes, votes[1:], strict=False)]
    most = sum(max(votes.count(one) for one in votes) for votes in ballots) / sum(map(len, ballots))
    mistakes = {
        "You took the mean over comparisons: two people who are among five would then count for less. Put all pairs of "
        "votes into one pot.": sum(map(share, several)) / len(several),
        "You compare each vote with itself, too, and everybody agrees with themselves.": sum(x == y for x, y in ordered)
        / len(ordered),
        "You compare each vote with the next one only; the first and the third are a pair as well.": sum(
            x == y for x, y in neighbours
        )
        / len(neighbours),
        "You count the comparisons on which all agree; two of three who agree count for something, too.": sum(
            len(set(votes)) == 1 for votes in several
        )
        / len(several),
        "That is how often people are with the majority. Asked is how often two people say the same.": most,
        "That is the share of pairs that *disagree*.": 1 - right,
        "That is a percentage; a share between 0 and 1 is asked for.": 100 * right,
    }
    for sentence, wrong in mistakes.items():
        if math.isclose(found, wrong, rel_tol=1e-4, abs_tol=1e-6):
            raise Misconception(sentence)
    raise Misconception(f"For {ballots} you find {found:.4g}; it should be {right:.4g}.")


agreement = Exercise(
    "08.agreement",
    question="""
        Several people have voted on several comparisons, and not the same number of people on each: `ballots` is a list
        with a list of votes for every comparison, such as `[["a", "a", "b"], ["b", "b"], ["a"]]`.

        Take any two people who saw the same comparison: how often do they say the same? Return this share (between 0
        and 1) over **all such pairs of votes**, put into one pot. (A comparison that only one person saw has no pair.)
        """,
    check=_check_agreement,
    hints=[
        "Three votes on one comparison make three pairs: first and second, first and third, second and third.",
        "Count the pairs that say the same, count all pairs, over all comparisons; divide once, at the end.",
        "`itertools.combinations(votes, 2)` gives all pairs of a list.",
    ],
    solution=my_agreement,
)
