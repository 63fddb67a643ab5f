"""Exercises of lesson 10: who wins, how sure one can be, and the loss that pays back the alignment tax.

`from exercises.lesson_10 import win_rate`, then `win_rate.check(my_win_rate)`.
"""

import torch
import torch.nn.functional as F

from exercises import expect
from widgets.exercise import Exercise, Misconception

# --- Who wins -----------------------------------------------------------------------------------------------------


def my_win_rate(ours, theirs):
    """How often our answer is preferred, a tie counting half: scores (N,) and (N,) of answers to the same prompts."""
    won = (ours > theirs).float()
    tied = (ours == theirs).float()
    return (won + tied / 2).mean()


def _check_win_rate(learner) -> str:
    ours = torch.tensor([0.9, 0.2, -0.5, 1.0, 0.3, 0.3, -1.0, 0.8])
    theirs = torch.tensor([0.4, 0.2, 0.5, -1.0, 0.1, 0.3, -1.0, 0.9])
    for a, b in ((ours, theirs), (theirs, ours), (ours, ours), (ours[:3], theirs[:3])):
        found = torch.tensor(expect.number(learner(a.clone(), b.clone()), "one number, a share from 0 to 1"))
        won, lost, tied = (a > b).float().mean(), (a < b).float().mean(), (a == b).float().mean()
        right = won + tied / 2
        if expect.close(found, right):
            continue
        mistakes = {
            "You counted ties as lost. Then a model loses against itself; a tie is half a win for each.": won,
            "You counted ties as won. Then both sides of a tie would win; count half for each.": won + tied,
            "You left ties out of the count below the line as well. Divide by *all* prompts, and count a tie as half.":
                won / (won + lost),
            "This is how often *theirs* was preferred: the sides are swapped.": lost + tied / 2,
            "This is a difference of scores. A judge who compares two answers does not say how much better one is; "
            "count who was better.": (a - b).mean(),
            "You subtracted the losses from the wins. That goes from -1 to 1; a share goes from 0 to 1.": won - lost,
            "You returned a number of prompts; divide by how many there are.": (won + tied / 2) * len(a),
        }  # fmt: skip
        expect.none_of(found, mistakes)
        raise Misconception(
            f"For scores `{a.tolist()}` against `{b.tolist()}` you find {float(found):.3f}; it is {float(right):.3f}."
        )
    return "Right, also for a model against itself: exactly one half."


win_rate = Exercise(
    "10.win_rate",
    question="""
        The number of all papers on alignment: two models answer the same N prompts, and somebody prefers one answer of
        each pair. How often is it ours?

        `ours` and `theirs` are scores, `(N,)`, the higher the better; answers with the same score are a **tie**. Many
        are, since good models often say the same. A tie counts as half a win, so that a model against itself gets one
        half. Return one number from 0 to 1.
        """,
    check=_check_win_rate,
    hints=[
        "`(ours > theirs)` is True where we won; `.float()` makes it 1 or 0.",
        "Add half of `(ours == theirs)`, then take the mean over all prompts.",
    ],
    solution=my_win_rate,
)

# --- How sure one can be ------------------------------------------------------------------------------------------


def my_paired_interval(before, after, draws):
    """95 % interval (low, high) of the mean change: before and after (N,), draws: how often to redraw the prompts."""
    change = after - before  # (N,): each prompt is compared with itself
    rows = torch.randint(len(change), (draws, len(change)))  # N prompts again, some twice, some not at all
    means = change[rows].mean(dim=1)  # (draws,)
    return means.quantile(0.025), means.quantile(0.975)


def _check_paired_interval(learner) -> str:
    generator = torch.Generator().manual_seed(10)
    before = torch.rand(80, generator=generator) * 4 - 2  # prompts differ widely,
    after = before + 0.3 + 0.1 * torch.randn(80, generator=generator)  # the change does not
    change = after - before
    torch.manual_seed(0)
    answer = expect.several(learner(before.clone(), after.clone(), 2000), 2, "a pair, (low, high)")
    low, high = (expect.number(end, "a pair of numbers") for end in answer)
    if not (low == low and high == high and abs(low) < 1e6 and abs(high) < 1e6):
        raise Misconception(f"Your interval is from {low} to {high}: both ends should be numbers.")
    width, middle = high - low, (low + high) / 2
    error = float(change.std() / 80**0.5)  # of the mean
    right = 2 * 1.96 * error
    unpaired = 2 * 1.96 * float((before.var() / 80 + after.var() / 80) ** 0.5)
    wide = float(change.quantile(0.975) - change.quantile(0.025))
    about = f"You find {low:.3f} to {high:.3f}. "
    if low > high:
        raise Misconception(f"{about}The lower end comes first.")
    if width < 1e-6:
        raise Misconception(
            f"{about}It has no width: you drew every prompt exactly once, and the mean of all prompts is always the "
            "same. Draw *with replacement*: N times any prompt, so that some come twice and some not at all."
        )
    if abs(middle + float(change.mean())) < 3 * error:
        raise Misconception(f"{about}The sign is turned: the change is after minus before.")
    if abs(width / unpaired - 1) < 0.15:
        raise Misconception(
            f"{about}That is {width / right:.0f} times too wide. You redraw `before` and `after` independently, so "
            "that hard prompts of one meet easy prompts of the other. Both answered the *same* prompts: redraw the "
            "differences."
        )
    if abs(width / wide - 1) < 0.15:
        raise Misconception(
            f"{about}That is where single prompts lie. Asked is where their *mean* lies: take the mean of each redraw "
            "first, then the quantiles of these means."
        )
    if abs(middle - float(change.mean())) > 3 * error:
        raise Misconception(f"{about}Its middle should be near the mean change, {float(change.mean()):.3f}.")
    if abs(width / (2 * error) - 1) < 0.1 or abs(width / (2 * 1.64 * error) - 1) < 0.04:
        raise Misconception(
            f"{about}That is too narrow for 95 %: leave out 2.5 % at each end, from quantile 0.025 to 0.975."
        )
    if abs(width / right - 1) > 0.15:
        raise Misconception(f"{about}It should be about {right:.3f} wide, and is {width:.3f}.")
    once = expect.several(learner(before.clone(), after.clone(), 1), 2, "a pair, (low, high)")
    if abs(expect.number(once[1], "a number") - expect.number(once[0], "a number")) > 1e-6:
        raise Misconception(
            f"{about}That is about right, but with `draws=1` there is only one mean, and your interval still has a "
            "width: it comes from a formula. The bootstrap needs none; draw, and see where the means fall."
        )
    return f"Right. Unpaired, the same data would give an interval {unpaired / right:.0f} times as wide."


paired_interval = Exercise(
    "10.paired_interval",
    question="""
        Is a model better after training, or was it lucky with the prompts? Both versions answered the **same** N
        prompts. Some prompts are hard for both, some are easy for both, and none of that matters if each prompt is
        compared with itself.

        Write the **bootstrap** (Efron 1979): draw N prompts again, with replacement, `draws` times; each draw gives a
        mean change. The interval leaves out 2.5 % of these means at each end. `before` and `after` are scores, `(N,)`.
        Return `(low, high)`.
        """,
    check=_check_paired_interval,
    hints=[
        "First one number a prompt: after minus before. Only these are redrawn.",
        "`torch.randint(N, (draws, N))` are the numbers of the prompts drawn; index with it, and take the mean of each "
        "row.",
        "`means.quantile(0.025)` and `means.quantile(0.975)`.",
    ],
    solution=my_paired_interval,
)

# --- PPO-ptx ------------------------------------------------------------------------------------------------------


def my_ptx_loss(ppo_loss, logits, ids, gamma):
    """PPO's loss and gamma times the loss of reading: ppo_loss and gamma numbers, logits (B, T, V), ids (B, T)."""
    reading = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    return ppo_loss + gamma * reading


def _check_ptx_loss(learner) -> str:
    generator = torch.Generator().manual_seed(11)
    for gamma, B, T in ((27.8, 2, 6), (0.5, 3, 4)):
        logits = 2 * torch.randn(B, T, 9, generator=generator)
        ids = torch.randint(9, (B, T), generator=generator)
        ppo = torch.randn((), generator=generator)
        answer = learner(ppo.clone(), logits.clone(), ids.clone(), gamma)
        found = torch.tensor(expect.number(answer, "one number, the loss"))
        reading = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        if expect.close(found, ppo + gamma * reading):
            continue
        unshifted = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
        mistakes = {
            "You subtracted the loss of reading. The paper *maximises* γ E[log π(x)]; a loss is what should become "
            "smaller, and log π is minus the loss of reading: the two minus signs cancel.": ppo - gamma * reading,
            "γ stands before the pretraining term alone, not before PPO's loss too.": gamma * (ppo + reading),
            "γ stands before the wrong term: PPO's loss counts once.": gamma * ppo + reading,
            "γ is missing.": ppo + reading,
            "Each position is asked about its own token. Compare position t with token t + 1.": ppo + gamma * unshifted,
            "You added up the losses of all tokens; take their mean, or γ would mean something else for every batch.":
                ppo + gamma * reading * ids[:, 1:].numel(),
            "PPO's loss is missing: this would be pretraining, and nothing else.": gamma * reading,
            "The pretraining text is missing: this is plain PPO.": ppo,
            "You mixed them, (1 − γ) to γ. In the paper they are added, and γ may be larger than 1 (it was 27.8).":
                (1 - gamma) * ppo + gamma * reading,
        }  # fmt: skip
        expect.none_of(found, mistakes)
        raise Misconception(
            f"For γ = {gamma} you find {float(found):.3f}; it should be {float(ppo + gamma * reading):.3f}."
        )
    return "Right for two batches. In `lmcore/trainers/ppo.py` it is one line as well."


ptx_loss = Exercise(
    "10.ptx_loss",
    question="""
        PPO moves the model towards what is rewarded, and nothing reminds it of everything else. InstructGPT's remedy
        (equation 2): while it does PPO, it also goes on *reading*. It maximises

        `what PPO maximises + γ · E[log π(x)]`, x from the pretraining text

        You are given PPO's loss (already something to make smaller), and for a batch of pretraining text the `logits`
        `(B, T, V)` and the tokens `ids` `(B, T)`. Return the **loss** of both together, one number. Reading is measured
        as in lesson 06: the mean loss of each next token, in nats.
        """,
    check=_check_ptx_loss,
    hints=[
        "`logits[:, :-1]` are the guesses, `ids[:, 1:]` what came. `F.cross_entropy` wants them flat.",
        "The mean loss of reading is minus the mean of log π(x). So what is maximised with a plus is minimised with a "
        "plus as well.",
    ],
    solution=my_ptx_loss,
)
