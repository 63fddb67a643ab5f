"""Exercises of lesson 09: the reward of each token, advantages, PPO's clipped loss, and the policy it aims at.

    from exercises.lesson_09 import rlhf_reward
    rlhf_reward.check(my_rlhf_reward)
"""

import torch
from torch import Tensor

from exercises import expect
from widgets.exercise import Exercise, Misconception

# --- The reward of each token -----------------------------------------------------------------------------------


def my_rlhf_reward(scores, logprobs, ref_logprobs, mask, kl_coef):
    """Rewards (B, T): scores (B,), log-probabilities (B, T), mask bool (B, T), True on real tokens."""
    rewards = -kl_coef * (logprobs - ref_logprobs) * mask  # every token pays for its distance from the reference
    last = mask.sum(dim=1) - 1  # (B,): padding stands behind
    rewards[torch.arange(len(scores)), last] += scores
    return rewards


def _check_rlhf_reward(learner) -> str:
    generator = torch.Generator().manual_seed(9)
    for B, T in ((3, 5), (4, 7)):
        logprobs, ref_logprobs = -3 * torch.rand(2, B, T, generator=generator) - 0.1
        scores = torch.randn(B, generator=generator) + 2
        lengths = torch.cat([torch.tensor([T - 2, T]), torch.randint(1, T, (B - 2,), generator=generator)])
        mask = torch.arange(T) < lengths[:, None]
        kl_coef = 0.2
        answer = learner(scores, logprobs, ref_logprobs, mask, kl_coef)
        if isinstance(answer, Tensor) and answer.shape == (B,):
            raise Misconception(f"You returned one reward an answer; each of its {T} tokens gets one, `(B, T)`.")
        found = expect.tensor(answer, (B, T))
        right = my_rlhf_reward(scores, logprobs, ref_logprobs, mask, kl_coef)
        if expect.close(found, right):
            continue
        kl, rows = (logprobs - ref_logprobs) * mask, torch.arange(B)
        paid = right - _at(rows, lengths - 1, scores, T)  # the KL part alone
        mistakes = {
            "You pay the policy for moving *away* from the reference. The penalty is minus `kl_coef` times "
            "(log-probability under the policy minus log-probability under the reference): is the sign turned, or are "
            "the two swapped?":
                right - 2 * paid,
            "Every token gets the score. It is given once, for the whole answer, at its last real token; so your "
            "answers would earn more by being longer.": paid + scores[:, None],
            "The score stands in the last column, and in shorter answers that is padding. The last real token of a "
            "row is at `mask.sum(dim=1) - 1`.": paid + _at(rows, torch.full((B,), T - 1), scores, T),
            "The score stands at the first token. At that moment nobody knows yet what the answer will be: it "
            "belongs to the last real one.": paid + _at(rows, torch.zeros(B, dtype=torch.long), scores, T),
            "The score is missing: add it at the last real token.": paid,
            "The penalty is missing: without it nothing holds the policy near the reference.": right - paid,
            "`kl_coef` is missing in the penalty.": right - paid + paid / kl_coef,
            "The whole penalty stands at the last token. Each token pays for its own log-probabilities.":
                _at(rows, lengths - 1, scores + paid.sum(dim=1), T),
            "You took the size of the difference. A token that the policy likes less than the reference does gets a "
            "small bonus: only so is the sum an estimate of KL.": right - paid - kl_coef * kl.abs(),
            "You divided the score among the tokens. It is given once, at the last real one.":
                paid + scores[:, None] / lengths[:, None],
        }
        expect.none_of(found * mask, {sentence: wrong * mask for sentence, wrong in mistakes.items()})
        row, column = ((found - right).abs() > 1e-4).nonzero()[0].tolist()
        if not mask[row, column]:
            raise Misconception(
                f"Row {row}, token {column} is padding, and you gave it a reward of {float(found[row, column]):.2f}. "
                "What stands behind the end of an answer earns nothing and pays nothing."
            )
        raise Misconception(
            f"Row {row}, token {column}: you gave {float(found[row, column]):.3f}; it should be "
            f"{float(right[row, column]):.3f}."
        )
    return "Right for answers of different lengths: every token pays for its distance, the last one gets the score."


def _at(rows: Tensor, columns: Tensor, values: Tensor, T: int) -> Tensor:
    result = torch.zeros(len(rows), T)
    result[rows, columns] = values
    return result


rlhf_reward = Exercise(
    "09.rlhf_reward",
    question="""
        What does RLHF reward? Not the score alone: each token also pays for straying from the model it started from,
        the *reference* (Ziegler et al. 2019, equation 2). For answers of up to T tokens, padded behind:

        - each real token: `-kl_coef · (log π − log π_ref)`
        - the last real token of an answer, in addition: the answer's score
        - padding: 0, whatever the log-probabilities there may be

        `scores` is `(B,)`; `logprobs` (the policy's), `ref_logprobs` and `mask` (`True` on real tokens) are `(B, T)`.
        Return the rewards, `(B, T)`.
        """,
    check=_check_rlhf_reward,
    hints=[
        "First the penalty for all tokens at once, a table `(B, T)`. A token that the policy finds more probable "
        "than the reference does should *lose* something.",
        "Multiply by the mask, and padding is 0. How many real tokens does a row have? The last of them is one less.",
        "`rewards[torch.arange(B), last] += scores` adds one number in every row.",
    ],
    solution=my_rlhf_reward,
)


# --- Advantages -------------------------------------------------------------------------------------------------


def my_advantages(rewards, values, gamma, lam):
    """How much better each token did than expected: rewards, values (T,) -> (T,). After the last one V = 0."""
    advantages = torch.zeros_like(rewards)
    later = 0.0
    for t in reversed(range(len(rewards))):
        next_value = values[t + 1] if t + 1 < len(rewards) else 0.0
        delta = rewards[t] + gamma * next_value - values[t]
        later = delta + gamma * lam * later
        advantages[t] = later
    return advantages


def _check_advantages(learner) -> str:
    generator = torch.Generator().manual_seed(90)
    gamma, lam = 0.9, 0.7
    for T in (6, 1, 9):
        rewards, values = torch.randn(2, T, generator=generator)
        found = expect.tensor(learner(rewards, values, gamma, lam), (T,), called=f"result for {T} tokens")
        right = my_advantages(rewards, values, gamma, lam)
        if expect.close(found, right):
            continue
        following = torch.cat([values[1:], torch.zeros(1)])
        deltas = rewards + gamma * following - values
        mistakes = {
            "You forgot to bootstrap: the surprise at t is `r[t] + gamma * V[t + 1] - V[t]`. Without the value of what "
            "follows, every token but the last looks like a disappointment.":
                _discounted(rewards - values, gamma * lam),
            "Lambda is missing: later surprises are faded by `gamma * lam`. With lambda = 1 you got the whole return "
            "minus V, right on average, but noisy.": my_advantages(rewards, values, gamma, 1.0),
            "These are the surprises of single steps. Surprises that come later count too, faded by `gamma * lam` for "
            "each step.": deltas,
            "Later surprises are faded by lambda alone: it is `gamma * lam` for each step.": _discounted(deltas, lam),
            "Gamma is missing: it discounts the next value, and with lambda all later surprises.":
                my_advantages(rewards, values, 1.0, lam),
            "Gamma is missing in the surprise: it is `r[t] + gamma * V[t + 1] - V[t]`.":
                _discounted(rewards + following - values, gamma * lam),
            "You ran forward: each token is credited with what came *before* it. A token can only have caused what "
            "comes after, so begin at the end.": _discounted(deltas.flip(0), gamma * lam).flip(0),
            "At the last token the next value was taken from the beginning. After the end nothing follows: V = 0.":
                _discounted(rewards + gamma * values.roll(-1) - values, gamma * lam),
            "At the last token you took its own value for the next one. After the end nothing follows: V = 0.":
                _discounted(rewards + gamma * torch.cat([values[1:], values[-1:]]) - values, gamma * lam),
            "These are the returns, advantages + values. An advantage is what goes beyond the value that was expected.":
                right + values,
            "V[t] is missing: an advantage is measured against what was expected.":
                _discounted(rewards + gamma * following, gamma * lam),
            "The sign is turned: better than expected is positive.": -right,
            "That is the plain version of *Build*, where nothing fades: the sum of what comes, minus V. Here γ makes "
            "what comes later worth less, and λ the surprises.": my_advantages(rewards, values, 1.0, 1.0),
            "Right numbers, in reverse order: you began at the end, so the list has to be turned round.": right.flip(0),
        }
        expect.none_of(found, mistakes)
        t = int((found - right).abs().argmax())
        raise Misconception(
            f"With {T} tokens, at t = {t}: you have {float(found[t]):.3f}; it should be {float(right[t]):.3f}. The "
            "last one should be `r - V`; is it?"
        )
    return "Right for 6, 1 and 9 tokens. With gamma = lambda = 1 it would be the return minus V."


def _discounted(deltas: Tensor, factor: float) -> Tensor:
    result, later = torch.zeros_like(deltas), 0.0
    for t in reversed(range(len(deltas))):
        result[t] = later = deltas[t] + factor * later
    return result


advantages = Exercise(
    "09.advantages",
    question="""
        The score comes at the end. Which tokens deserve the praise? A *value* V(t) says what was expected before
        token t; the surprise at t is `δ(t) = r(t) + γ V(t+1) − V(t)`, and the **advantage** gathers the surprises
        from t on, each step fainter (generalised advantage estimation, Schulman et al. 2015, arXiv 1506.02438):

        `A(t) = δ(t) + γλ A(t+1)`

        `rewards` and `values` are `(T,)`. After the last token nothing follows: there V and A are 0. Return all the
        advantages, `(T,)`.
        """,
    check=_check_advantages,
    hints=[
        "A(t) needs A(t+1): begin at the end, `for t in reversed(range(T))`.",
        "Keep the last advantage that you computed in a variable; before the loop it is 0.",
        "In the loop: the next value (0 behind the end), the surprise, then `later = delta + gamma * lam * later`.",
    ],
    solution=my_advantages,
)


# --- The clipped loss -------------------------------------------------------------------------------------------


def my_ppo_loss(logprobs, old_logprobs, advantages, cliprange):
    """PPO's loss, one number: log-probabilities of N tokens now and when they were written, their advantages."""
    ratio = (logprobs - old_logprobs).exp()
    clipped = ratio.clamp(1 - cliprange, 1 + cliprange)
    return -torch.min(ratio * advantages, clipped * advantages).mean()


def _check_ppo_loss(learner) -> str:
    generator = torch.Generator().manual_seed(900)
    cliprange = 0.2
    for N in (40, 12):
        old = -2 * torch.rand(N, generator=generator) - 0.5
        now = (old + 0.4 * torch.randn(N, generator=generator)).requires_grad_()
        better = 2 * torch.randn(N, generator=generator)
        answer = learner(now, old, better, cliprange)
        if isinstance(answer, Tensor) and answer.shape == (N,):
            raise Misconception(f"You returned {N} losses, one a token. The loss is their mean: one number.")
        found = torch.tensor(expect.number(answer, "the loss, one number"))
        right = my_ppo_loss(now, old, better, cliprange)
        if not expect.close(found, right):
            _name_the_wrong_loss(found, now.detach(), old, better, cliprange)
            raise Misconception(f"Your loss is {float(found):.4f}; it should be {float(right.detach()):.4f}.")
        if not isinstance(answer, Tensor) or not answer.requires_grad:
            raise Misconception(
                "The number is right, but no gradient can flow through it: training would change nothing. Return a "
                "tensor made of `logprobs` (no `.item()`, `float` or `.detach()`)."
            )
        (slope,), (right_slope,) = (torch.autograd.grad(loss, now) for loss in (answer, right))
        if not expect.close(slope, right_slope):
            raise Misconception("The number is right, but its gradient is not: is something detached on the way?")
    return "Right, number and gradient: where a move has gone far enough, the gradient is 0."


def _name_the_wrong_loss(found: Tensor, now: Tensor, old: Tensor, better: Tensor, cliprange: float) -> None:
    ratio, low, high = (now - old).exp(), 1 - cliprange, 1 + cliprange
    clipped = ratio.clamp(low, high)
    inverse, difference = 1 / ratio, now - old
    mistakes = {
        "The sign is turned: an optimiser makes a loss *smaller*, and the objective should grow.":
            torch.min(ratio * better, clipped * better).mean(),
        "You took the larger of the two. PPO is careful: of the two objectives it takes the *smaller*, so that a "
        "move that made things worse is always corrected.": -torch.max(ratio * better, clipped * better).mean(),
        "Nothing is clipped: this is the plain policy gradient, and a few large steps ruin the policy.":
            -(ratio * better).mean(),
        "Only the clipped objective is left. Then a token whose probability moved far in the *wrong* direction has no "
        "gradient to bring it back: take the minimum of the clipped and the unclipped one.": -(clipped * better).mean(),
        "You clipped the advantage. What must stay near 1 is the ratio, how much more probable a token has become.":
            -torch.min(ratio * better, ratio * better.clamp(low, high)).mean(),
        "You clipped the advantage instead of the ratio.": -torch.min(
            ratio * better, ratio * better.clamp(-cliprange, cliprange)).mean(),
        "You clipped the product of ratio and advantage. What must stay near 1 is the ratio alone.":
            -torch.min(ratio * better, (ratio * better).clamp(low, high)).mean(),
        "The ratio is upside down: it is the probability now over the probability then.":
            -torch.min(inverse * better, inverse.clamp(low, high) * better).mean(),
        "The difference of two log-probabilities is the *logarithm* of the ratio: `.exp()` is missing.":
            -torch.min(difference * better, difference.clamp(low, high) * better).mean(),
        "You divided log-probabilities. The ratio is one of probabilities: `(logprobs - old_logprobs).exp()`.":
            -torch.min(now / old * better, (now / old).clamp(low, high) * better).mean(),
        "You clipped to -cliprange ... cliprange, but a ratio that has not moved is 1, not 0.":
            -torch.min(ratio * better, ratio.clamp(-cliprange, cliprange) * better).mean(),
        "You returned the sum; the mean is asked for, or the step would grow with the batch.":
            -torch.min(ratio * better, clipped * better).sum(),
    }
    expect.none_of(found, mistakes)


ppo_loss = Exercise(
    "09.ppo_loss",
    question="""
        The policy has written N tokens; now it is improved on them, in several steps. With each step it drifts from the
        policy that wrote them, and the advantages become less true. PPO (Schulman et al. 2017, equation 7) takes away
        the reason to drift far. With `ratio = π_now / π_then` it maximises the mean of

        `min(ratio · A, clip(ratio, 1 − ε, 1 + ε) · A)`

        You get log-probabilities now and then, and advantages, all `(N,)`, and ε as `cliprange`. Return the **loss**:
        one number that an optimiser can make smaller.
        """,
    check=_check_ppo_loss,
    hints=[
        "A ratio of probabilities is the exponential of a difference of log-probabilities.",
        "`ratio.clamp(low, high)` clips. Multiply both ratios by the advantages; `torch.min(x, y)` takes the smaller "
        "one, token by token.",
        "What should grow becomes a loss with a minus sign. And then the mean.",
    ],
    solution=my_ppo_loss,
)


# --- What RLHF aims at ------------------------------------------------------------------------------------------


def my_optimal_policy(ref, rewards, beta):
    """The best policy on N possible answers: their probability under the reference, and their rewards, all (N,)."""
    return (ref.log() + rewards / beta).softmax(dim=0)  # ref * exp(rewards / beta), divided by its sum


def _check_optimal_policy(learner) -> str:
    ref = torch.tensor([0.5, 0.3, 0.15, 0.05])
    rewards = torch.tensor([0.0, 1.0, -1.0, 2.0])
    for beta in (0.5, 2.0):
        found = expect.tensor(learner(ref, rewards, beta), (4,), called=f"policy for `beta = {beta}`")
        right = my_optimal_policy(ref, rewards, beta)
        if expect.close(found, right):
            continue
        tilted = ref * (rewards / beta).exp()
        mistakes = {
            f"Your probabilities sum to {float(found.sum()):.2f}: divide them by their sum.": tilted,
            "You multiplied by beta. A *small* beta means that straying costs little, so the rewards should count "
            "more: divide by it.": (ref.log() + rewards * beta).softmax(0),
            "The reference is missing. The leash ties to *it*: an answer it never gives stays impossible, however "
            "high its reward.": (rewards / beta).softmax(0),
            "You gave everything to the answer with the highest reward. That is best only if straying is free.":
                torch.eye(4)[rewards.argmax()],
            "You gave everything to one answer. Every answer of the reference keeps its share, more or less of it.":
                torch.eye(4)[tilted.argmax()],
            "The rewards are not exponentiated: each probability is multiplied by `exp(reward / beta)`.":
                ref * rewards / beta / (ref * rewards / beta).sum(),
            "The sign of the rewards is turned: high rewards should become more probable.":
                (ref.log() - rewards / beta).softmax(0),
            "Beta is missing.": (ref.log() + rewards).softmax(0),
            "You *added* the exponentials to the reference; they are multiplied.":
                (ref + (rewards / beta).exp()) / (ref + (rewards / beta).exp()).sum(),
        }
        expect.none_of(found, mistakes)
        if not expect.close(found.sum(), torch.tensor(1.0)):
            raise Misconception(f"Your probabilities sum to {float(found.sum()):.2f}; they should sum to 1.")
        raise Misconception(f"For `beta = {beta}` your policy is {_rounded(found)}; it should be {_rounded(right)}.")
    sharp = torch.as_tensor(learner(ref, rewards, 0.01))
    if not sharp.isfinite().all():
        raise Misconception(
            f"Right so far, but for `beta = 0.01` your policy is {_rounded(sharp)}: exp(200) is too large for a "
            "float. Add logarithms first, and let `softmax` do the rest; it subtracts the largest one."
        )
    if not expect.close(sharp, my_optimal_policy(ref, rewards, 0.01)):
        raise Misconception(f"For `beta = 0.01` your policy is {_rounded(sharp)}; answer 3 should have it all.")
    best = float(_objective(right, ref, rewards, beta))
    others = torch.rand(2000, 4, generator=torch.Generator().manual_seed(0))
    runner_up = float(_objective(others / others.sum(dim=1, keepdim=True), ref, rewards, beta).max())
    return f"Right: reward minus beta KL is {best:.3f}, and the best of 2,000 other policies reaches {runner_up:.3f}."


def _objective(policy: Tensor, ref: Tensor, rewards: Tensor, beta: float) -> Tensor:
    return (policy * (rewards - beta * (policy / ref).log())).sum(dim=-1)


def _rounded(policy: Tensor) -> str:
    return "[" + ", ".join(f"{float(p):.3f}" for p in policy) + "]"


optimal_policy = Exercise(
    "09.optimal_policy",
    question="""
        RLHF maximises the mean reward minus beta times the KL divergence from the reference. Where there are only N
        possible answers y, the best policy can be written down, with no training at all:

        `π*(y) = ref(y) · exp(r(y) / β) / Z`

        Z makes the sum 1. `ref` and `rewards` are `(N,)`; return the probabilities of `π*`. It should also work for
        `beta = 0.01`.
        """,
    check=_check_optimal_policy,
    hints=[
        "One line of arithmetic for all answers, and a division by the sum.",
        "exp(2 / 0.01) is larger than any float32. But log π* = log ref + r / β − log Z has no large numbers in it.",
        "`softmax` is exp and the division by the sum in one, and safe: softmax of `ref.log() + rewards / beta`.",
    ],
    solution=my_optimal_policy,
)
