"""Lesson 09's exercises: each meets each anticipated mistake with its sentence."""

import copy

import pytest
import torch
import torch.nn.functional as F
from exercises import lesson_09
from experiments.lesson_09 import distance_and_score

from lmcore import checkpoints
from lmcore.data import almanac
from lmcore.evaluation import Judge
from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_09).values() if isinstance(exercise, Exercise)}

# Each mistake: the exercise, what to find in its sentence, and code that makes it.
MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 09.rlhf_reward ---------------------------------------------------------------------------------------------


def place(rewards, columns, scores):
    rewards = rewards.clone()
    rewards[torch.arange(len(scores)), columns] += scores
    return rewards


@mistake("09.rlhf_reward", "moving *away* from the reference")
def wrong_sign(scores, logprobs, ref, mask, kl_coef):
    return lesson_09.my_rlhf_reward(scores, logprobs, ref, mask, -kl_coef)


@mistake("09.rlhf_reward", "or are the two swapped")
def swapped(scores, logprobs, ref, mask, kl_coef):
    return lesson_09.my_rlhf_reward(scores, ref, logprobs, mask, kl_coef)


@mistake("09.rlhf_reward", "Every token gets the score")
def score_everywhere(scores, logprobs, ref, mask, kl_coef):
    return (scores[:, None] - kl_coef * (logprobs - ref)) * mask


@mistake("09.rlhf_reward", "in shorter answers that is padding")
def score_in_the_last_column(scores, logprobs, ref, mask, kl_coef):
    return place(-kl_coef * (logprobs - ref) * mask, -1, scores)


@mistake("09.rlhf_reward", "in shorter answers that is padding")
def score_in_the_last_column_without_mask(scores, logprobs, ref, mask, kl_coef):
    return place(-kl_coef * (logprobs - ref), -1, scores)


@mistake("09.rlhf_reward", "stands at the first token")
def score_at_the_first(scores, logprobs, ref, mask, kl_coef):
    return place(-kl_coef * (logprobs - ref) * mask, 0, scores)


@mistake("09.rlhf_reward", "The score is missing")
def no_score(scores, logprobs, ref, mask, kl_coef):
    return -kl_coef * (logprobs - ref) * mask


@mistake("09.rlhf_reward", "The penalty is missing")
def no_penalty(scores, logprobs, ref, mask, kl_coef):
    return lesson_09.my_rlhf_reward(scores, logprobs, logprobs, mask, kl_coef)


@mistake("09.rlhf_reward", "`kl_coef` is missing")
def no_coefficient(scores, logprobs, ref, mask, kl_coef):
    return lesson_09.my_rlhf_reward(scores, logprobs, ref, mask, 1.0)


@mistake("09.rlhf_reward", "whole penalty stands at the last token")
def penalty_at_the_end(scores, logprobs, ref, mask, kl_coef):
    total = scores - kl_coef * ((logprobs - ref) * mask).sum(1)
    return place(torch.zeros_like(logprobs), mask.sum(1) - 1, total)


@mistake("09.rlhf_reward", "took the size of the difference")
def absolute(scores, logprobs, ref, mask, kl_coef):
    return place(-kl_coef * (logprobs - ref).abs() * mask, mask.sum(1) - 1, scores)


@mistake("09.rlhf_reward", "divided the score among the tokens")
def score_shared(scores, logprobs, ref, mask, kl_coef):
    return (-kl_coef * (logprobs - ref) + (scores / mask.sum(1))[:, None]) * mask


@mistake("09.rlhf_reward", "is padding, and you gave it a reward")
def no_mask(scores, logprobs, ref, mask, kl_coef):
    return place(-kl_coef * (logprobs - ref), mask.sum(1) - 1, scores)


@mistake("09.rlhf_reward", "one reward an answer")
def per_answer(scores, logprobs, ref, mask, kl_coef):
    return scores - kl_coef * ((logprobs - ref) * mask).sum(1)


@mistake("09.rlhf_reward", "it should be")
def something_else(scores, logprobs, ref, mask, kl_coef):
    return lesson_09.my_rlhf_reward(scores * 1.5, logprobs, ref, mask, kl_coef)


# --- 09.advantages ----------------------------------------------------------------------------------------------


def gae(rewards, values, gamma, lam, following=None):
    later, result = 0.0, torch.zeros_like(rewards)
    following = torch.cat([values[1:], values.new_zeros(1)]) if following is None else following
    for t in range(len(rewards) - 1, -1, -1):
        result[t] = later = rewards[t] + gamma * following[t] - values[t] + gamma * lam * later
    return result


@mistake("09.advantages", "forgot to bootstrap")
def no_bootstrap(rewards, values, gamma, lam):
    return gae(rewards, values, gamma, lam, following=0 * values)


@mistake("09.advantages", "Lambda is missing")
def no_lambda(rewards, values, gamma, lam):
    return gae(rewards, values, gamma, 1)


@mistake("09.advantages", "You ran forward")
def forward(rewards, values, gamma, lam):
    following = torch.cat([values[1:], values.new_zeros(1)])
    earlier, result = 0.0, []
    for t in range(len(rewards)):
        earlier = rewards[t] + gamma * following[t] - values[t] + gamma * lam * earlier
        result.append(earlier)
    return torch.stack(result)


@mistake("09.advantages", "surprises of single steps")
def no_memory(rewards, values, gamma, lam):
    return gae(rewards, values, gamma, 0)


@mistake("09.advantages", "the plain version of *Build*")
def plain(rewards, values, gamma, lam):
    return rewards.flip(0).cumsum(0).flip(0) - values


@mistake("09.advantages", "in reverse order")
def from_the_end(rewards, values, gamma, lam):
    return gae(rewards, values, gamma, lam).flip(0)


@mistake("09.advantages", "Gamma is missing")
def no_gamma(rewards, values, gamma, lam):
    return gae(rewards, values, 1, lam)


@mistake("09.advantages", "faded by lambda alone")
def lambda_alone(rewards, values, gamma, lam):
    return gae(rewards, values, gamma, lam / gamma)


@mistake("09.advantages", "Gamma is missing in the surprise")
def no_gamma_in_delta(rewards, values, gamma, lam):
    return gae(rewards, values, gamma, lam, following=torch.cat([values[1:], values.new_zeros(1)]) / gamma)


@mistake("09.advantages", "taken from the beginning")
def wraps(rewards, values, gamma, lam):
    return gae(rewards, values, gamma, lam, following=values.roll(-1))


@mistake("09.advantages", "its own value for the next one")
def repeats_the_last(rewards, values, gamma, lam):
    return gae(rewards, values, gamma, lam, following=torch.cat([values[1:], values[-1:]]))


@mistake("09.advantages", "These are the returns")
def returns(rewards, values, gamma, lam):
    return gae(rewards, values, gamma, lam) + values


@mistake("09.advantages", "V[t] is missing")
def no_baseline(rewards, values, gamma, lam):
    following = torch.cat([values[1:], values.new_zeros(1)])
    return gae(rewards + gamma * following, 0 * values, gamma, lam)


@mistake("09.advantages", "sign is turned")
def minus(rewards, values, gamma, lam):
    return -gae(rewards, values, gamma, lam)


@mistake("09.advantages", "The last one should be `r - V`")
def half(rewards, values, gamma, lam):
    return gae(rewards, values, gamma, lam) / 2


@mistake("09.advantages", "changed its input `values` in place")
def values_in_place(rewards, values, gamma, lam):
    values *= gamma
    return gae(rewards, values, gamma, lam)


# --- 09.ppo_loss ------------------------------------------------------------------------------------------------


def ppo(ratio, advantages, low=0.8, high=1.2):
    return -torch.min(ratio * advantages, ratio.clamp(low, high) * advantages).mean()


mistake("09.ppo_loss", "sign is turned")(lambda now, old, A, eps: -ppo((now - old).exp(), A))
mistake("09.ppo_loss", "larger of the two")(
    lambda now, old, A, eps: -torch.max((now - old).exp() * A, (now - old).exp().clamp(0.8, 1.2) * A).mean()
)
mistake("09.ppo_loss", "larger of the two")(  # the same mistake, made in losses
    lambda now, old, A, eps: torch.min(-(now - old).exp() * A, -(now - old).exp().clamp(0.8, 1.2) * A).mean()
)
mistake("09.ppo_loss", "Nothing is clipped")(lambda now, old, A, eps: -((now - old).exp() * A).mean())
mistake("09.ppo_loss", "Only the clipped")(lambda now, old, A, eps: -((now - old).exp().clamp(0.8, 1.2) * A).mean())
mistake("09.ppo_loss", "clipped the advantage")(
    lambda now, old, A, eps: -torch.min((now - old).exp() * A, (now - old).exp() * A.clamp(0.8, 1.2)).mean()
)
mistake("09.ppo_loss", "clipped the advantage")(
    lambda now, old, A, eps: -torch.min((now - old).exp() * A, (now - old).exp() * A.clamp(-0.2, 0.2)).mean()
)
mistake("09.ppo_loss", "clipped the product")(
    lambda now, old, A, eps: -torch.min((now - old).exp() * A, ((now - old).exp() * A).clamp(0.8, 1.2)).mean()
)
mistake("09.ppo_loss", "upside down")(lambda now, old, A, eps: ppo((old - now).exp(), A))
mistake("09.ppo_loss", "`.exp()` is missing")(lambda now, old, A, eps: ppo(now - old, A))
mistake("09.ppo_loss", "divided log-probabilities")(lambda now, old, A, eps: ppo(now / old, A))
mistake("09.ppo_loss", "1, not 0")(lambda now, old, A, eps: ppo((now - old).exp(), A, -0.2, 0.2))
mistake("09.ppo_loss", "would grow with the batch")(lambda now, old, A, eps: ppo((now - old).exp(), A) * len(A))
mistake("09.ppo_loss", "one a token")(lambda now, old, A, eps: -(now - old).exp() * A)
mistake("09.ppo_loss", "no gradient can flow")(lambda now, old, A, eps: ppo((now - old).exp(), A).item())
mistake("09.ppo_loss", "no gradient can flow")(lambda now, old, A, eps: ppo((now - old).exp().detach(), A))
mistake("09.ppo_loss", "its gradient is not")(
    lambda now, old, A, eps: ppo((now - old).exp().detach(), A) + 0 * now.sum()
)


# --- 09.optimal_policy ------------------------------------------------------------------------------------------


mistake("09.optimal_policy", "they should sum to 1")(lambda ref, r, beta: ref * (r / beta).exp() / 2.4)
mistake("09.optimal_policy", "divide them by their sum")(lambda ref, r, beta: ref * (r / beta).exp())
mistake("09.optimal_policy", "multiplied by beta")(lambda ref, r, beta: (ref.log() + r * beta).softmax(0))
mistake("09.optimal_policy", "The reference is missing")(lambda ref, r, beta: (r / beta).softmax(0))
mistake("09.optimal_policy", "highest reward")(lambda ref, r, beta: F.one_hot(r.argmax(), len(r)).float())
mistake("09.optimal_policy", "not exponentiated")(lambda ref, r, beta: ref * r / (ref * r).sum())
mistake("09.optimal_policy", "sign of the rewards")(lambda ref, r, beta: (ref.log() - r / beta).softmax(0))
mistake("09.optimal_policy", "Beta is missing")(lambda ref, r, beta: (ref.log() + r).softmax(0))
mistake("09.optimal_policy", "You *added*")(lambda ref, r, beta: F.normalize(ref + (r / beta).exp(), p=1, dim=0))
mistake("09.optimal_policy", "it should be [")(lambda ref, r, beta: ref)
mistake("09.optimal_policy", "too large for a float")(
    lambda ref, r, beta: ref * (r / beta).exp() / (ref * (r / beta).exp()).sum()
)


@pytest.mark.parametrize("id, sentence, learner", MISTAKES)
def test_each_mistake_gets_its_own_sentence(id, sentence, learner):
    exercise = EXERCISES[id].check(learner)
    assert exercise.outcome == "incorrect" and sentence in exercise.message, exercise.message


def test_the_solutions_of_lesson_09_are_what_ppo_computes():
    from lmcore.trainers.ppo import generalised_advantages, policy_loss, token_rewards

    torch.manual_seed(0)
    old, ref, now, values, advantages = torch.randn(5, 3, 6)
    scores, mask = torch.randn(3), torch.arange(6) < torch.tensor([[6], [4], [1]])
    rewards = lesson_09.my_rlhf_reward(scores, old, ref, mask, 0.1)
    torch.testing.assert_close(rewards, token_rewards(scores, (old - ref) * mask, mask, 0.1))
    theirs = generalised_advantages(rewards, values, mask, gamma=0.9, lam=0.8)[0]
    for row, length in enumerate((6, 4, 1)):
        mine = lesson_09.my_advantages(rewards[row, :length], values[row, :length], 0.9, 0.8)
        torch.testing.assert_close(mine, theirs[row, :length])
    everyone = torch.ones(3, 6, dtype=torch.bool)
    theirs = policy_loss(now, old, advantages, everyone, 0.2)[0]
    torch.testing.assert_close(lesson_09.my_ppo_loss(*(x.flatten() for x in (now, old, advantages)), 0.2), theirs)


def test_no_other_policy_reaches_the_optimal_ones_objective():
    torch.manual_seed(0)
    ref, rewards = torch.rand(8).softmax(0), torch.randn(8)
    best_policy = lesson_09.my_optimal_policy(ref, rewards, 0.3)
    bound = 0.3 * (ref * (rewards / 0.3).exp()).sum().log()  # J* = beta log sum ref exp(r / beta)
    torch.testing.assert_close(lesson_09._objective(best_policy, ref, rewards, 0.3), bound)


def test_a_model_that_stays_where_it_is_has_gone_no_distance_and_keeps_its_score():
    sft, judge = checkpoints.load("sft"), Judge()
    prompts = [task.prompt for task in almanac.prompts("train", n=8)]
    distance, score = distance_and_score(sft.model, sft.model, judge, prompts, sft.tokenizer)
    assert distance == pytest.approx(0, abs=1e-2) and -1.5 <= score <= 1
    changed = copy.deepcopy(sft.model)
    with torch.no_grad():
        changed.unembedding.weight[sft.tokenizer.encode(" I")[0]] *= 3
    assert distance_and_score(changed, sft.model, judge, prompts, sft.tokenizer)[0] > 0.5
