"""The lessons' exercises: each accepts its own solution, and meets each anticipated mistake with its sentence."""

import math
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[1] / "course"))

from exercises import lesson_04, lesson_05, lesson_09  # noqa: E402

from widgets.exercise import Exercise  # noqa: E402

EXERCISES = {
    exercise.id: exercise
    for lesson in (lesson_04, lesson_05, lesson_09)
    for exercise in vars(lesson).values()
    if isinstance(exercise, Exercise)
}


@pytest.fixture(autouse=True, scope="module")
def own_home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def test_three_lessons_have_their_exercises():
    assert list(EXERCISES) == [
        "04.causal_mask", "04.attention", "04.induction_head",
        "05.mask_tokens", "05.pseudo_log_likelihood", "05.best_pair",
        "09.rlhf_reward", "09.advantages", "09.ppo_loss", "09.optimal_policy",
    ]  # fmt: skip


@pytest.mark.parametrize("id", EXERCISES)
def test_the_shown_solution_runs_alone_and_is_accepted(id):
    exercise, names = EXERCISES[id], {"torch": torch, "math": math}
    exec(exercise.source, names)
    learner = next(value for name, value in names.items() if name.startswith("my_"))
    assert exercise.check(learner).outcome == "correct", exercise.message
    assert len(exercise.message) > len("Correct.")


@pytest.mark.parametrize("id", EXERCISES)
def test_the_starter_cell_runs_and_counts_as_not_attempted(id):
    exercise, name = EXERCISES[id], id.split(".")[1]
    checks = exercise.verdict["checks"]
    exec(exercise.starter, {name: exercise})
    assert exercise.verdict["checks"] == checks + 1 and exercise.outcome == "not attempted"
    assert '"""' in exercise.starter and len(exercise.starter.splitlines()) <= 8


@pytest.mark.parametrize("id", EXERCISES)
def test_two_or_three_hints_and_a_question_that_says_what_to_return(id):
    exercise = EXERCISES[id]
    assert 2 <= len(exercise.hints) <= 3 and "eturn" in exercise.question + exercise.starter
    assert "simply" not in exercise.question and "obviously" not in exercise.question


@pytest.mark.parametrize("id", EXERCISES)
def test_a_strange_result_gets_a_sentence_that_does_not_speak_of_the_check(id):
    for strange in ("text", 3, [1, 2], (), {}, torch.zeros(0), torch.ones(2, 2), object(), True, math.nan):
        exercise = EXERCISES[id].check(lambda *inputs, result=strange: result)
        assert exercise.outcome == "incorrect", strange
        assert exercise.message.endswith((".", "?", ".)")) and "The check cannot read" not in exercise.message


# Each mistake: the exercise, what to find in its sentence, and code that makes it.
MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 04.causal_mask ---------------------------------------------------------------------------------------------


def square(T):
    return torch.ones(T, T, dtype=torch.bool)


mistake("04.causal_mask", "lets position 3 see position 5")(lambda T: square(T))
mistake("04.causal_mask", "lets position 0 see position 1")(lambda T: square(T).tril(1))
mistake("04.causal_mask", "upside down")(lambda T: square(T).triu(1))
mistake("04.causal_mask", "Rows and columns are swapped")(lambda T: square(T).triu())
mistake("04.causal_mask", "hides every position from itself")(lambda T: square(T).tril(-1))
mistake("04.causal_mask", "hides position 0 from position 2")(lambda T: square(T).tril() & ~square(T).tril(-2))
mistake("04.causal_mask", "truth values are asked for")(lambda T: torch.ones(T, T).tril())
mistake("04.causal_mask", "truth values are asked for")(lambda T: torch.full((T, T), -9.0).triu(1))
mistake("04.causal_mask", "has shape `(6,)`")(lambda T: torch.arange(T) < T)
mistake("04.causal_mask", "mask for `T = 1` has shape `(6, 6)`")(lambda T: square(6).tril())


# --- 04.attention -----------------------------------------------------------------------------------------------


def attend(q, k, v, mask, scale=None, dim=-1, fill=-math.inf, hidden=None):
    scores = q @ k.T * (q.size(-1) ** -0.5 if scale is None else scale)
    return scores.masked_fill(~mask if hidden is None else hidden, fill).softmax(dim=dim) @ v


@mistake("04.attention", "Softmax over the wrong axis")
def wrong_axis(q, k, v, mask):
    return attend(q, k, v, mask, dim=0)


@mistake("04.attention", "not divided at all")
def no_root(q, k, v, mask):
    return attend(q, k, v, mask, scale=1)


@mistake("04.attention", "divided by D;")
def by_d(q, k, v, mask):
    return attend(q, k, v, mask, scale=1 / q.size(-1))


@mistake("04.attention", "scaled by 2.000")
def times_root(q, k, v, mask):
    return attend(q, k, v, mask, scale=q.size(-1) ** 0.5)


@mistake("04.attention", "applied after the softmax")
def mask_after(q, k, v, mask):
    return ((q @ k.T / math.sqrt(q.size(-1))).softmax(-1) * mask) @ v


@mistake("04.attention", "applied after the softmax")
def mask_after_without_root(q, k, v, mask):
    return ((q @ k.T).softmax(-1) * mask) @ v


@mistake("04.attention", "because exp(0) is 1")
def zeroed(q, k, v, mask):
    return attend(q, k, v, mask, fill=0)


@mistake("04.attention", "which the mask hides")
def mask_ignored(q, k, v, mask):
    return attend(q, k, v, square(1).expand(mask.shape))


@mistake("04.attention", "use `~mask`")
def mask_inverted(q, k, v, mask):
    return attend(q, k, v, mask, hidden=mask)


@mistake("04.attention", "is the softmax missing")
def no_softmax(q, k, v, mask):
    return (q @ k.T / math.sqrt(q.size(-1)) * mask) @ v


@mistake("04.attention", "You returned the weights")
def only_weights(q, k, v, mask):
    return attend(q, k, torch.eye(len(k)), mask)


@mistake("04.attention", "their dot product")
def distances(q, k, v, mask):
    scores = -torch.cdist(q, k) / math.sqrt(q.size(-1))
    return scores.masked_fill(~mask, -math.inf).softmax(-1) @ v


@mistake("04.attention", "what they gather is not")
def twice(q, k, v, mask):
    return attend(q, k, v, mask) @ torch.ones(v.size(1), v.size(1)) if v.size(1) == 3 else attend(q, k, v, mask)


# --- 04.induction_head ------------------------------------------------------------------------------------------


def best(scores):
    return divmod(int(scores.argmax()), scores.size(1))


def diagonal(attention, back):
    return attention[:, 0].diagonal(-back, dim1=-2, dim2=-1)


@mistake("04.induction_head", "copy of the *same* token")
def same_token(attention):
    return best(diagonal(attention, attention.size(-1) // 2).mean(-1))


@mistake("04.induction_head", "averaged over the wrong diagonal")
def wrong_diagonal(attention):
    return best(diagonal(attention, attention.size(-1) // 2 - 2).mean(-1))


@mistake("04.induction_head", "looks at the token before")
def previous(attention):
    return best(diagonal(attention, 1).mean(-1))


@mistake("04.induction_head", "looks at itself")
def itself(attention):
    return best(diagonal(attention, 0).mean(-1))


@mistake("04.induction_head", "very first token")
def first(attention):
    return best(attention[:, 0, :, :, 0].mean(-1))


@mistake("04.induction_head", "take the mean")
def maximum(attention):
    return best(diagonal(attention, attention.size(-1) // 2 - 1).amax(-1))


@mistake("04.induction_head", "about at random")
def upper_diagonal(attention):
    return best(diagonal(attention, 1 - attention.size(-1) // 2).mean(-1))


@mistake("04.induction_head", "`divmod(")
def flat(attention):
    return diagonal(attention, attention.size(-1) // 2 - 1).mean(-1).argmax()


@mistake("04.induction_head", "the layer comes first")
def head_first(attention):
    return lesson_04.my_induction_head(attention)[::-1]


# --- 05.mask_tokens ---------------------------------------------------------------------------------------------


def blanks(ids, rate, generator, shape=None):
    return (torch.rand(shape or ids.shape, generator=generator) < rate) & (ids > 6)


@mistake("05.mask_tokens", "ask for every token")
def ask_all(ids, rate, mask_id, generator):
    return ids.masked_fill(blanks(ids, rate, generator), mask_id), ids


@mistake("05.mask_tokens", "you hid it")
def hide_special(ids, rate, mask_id, generator):
    hidden = torch.rand(ids.shape, generator=generator) < rate
    return ids.masked_fill(hidden, mask_id), ids.masked_fill(~hidden, -100)


@mistake("05.mask_tokens", "changed its input `ids` in place")
def in_place(ids, rate, mask_id, generator):
    hidden = blanks(ids, rate, generator)
    labels = ids.masked_fill(~hidden, -100)
    ids[hidden] = mask_id
    return ids, labels


@mistake("05.mask_tokens", "made after hiding")
def labels_too_late(ids, rate, mask_id, generator):
    hidden = blanks(ids, rate, generator)
    inputs = ids.masked_fill(hidden, mask_id)
    return inputs, inputs.masked_fill(~hidden, -100)


@mistake("05.mask_tokens", "you hid 50% of the ordinary tokens")
def rate_far_off(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, 0.5, mask_id, generator)


@mistake("05.mask_tokens", "the other way round")
def keep_instead_of_hide(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, 1 - rate, mask_id, generator)


@mistake("05.mask_tokens", "labels are upside down")
def labels_upside_down(ids, rate, mask_id, generator):
    hidden = blanks(ids, rate, generator)
    return ids.masked_fill(hidden, mask_id), ids.masked_fill(hidden, -100)


@mistake("05.mask_tokens", "in the same places")
def one_row_for_all(ids, rate, mask_id, generator):
    hidden = blanks(ids, rate, generator, ids.shape[1:])
    return ids.masked_fill(hidden, mask_id), ids.masked_fill(~hidden, -100)


@mistake("05.mask_tokens", "same tokens are hidden every time")
def own_seed(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, rate, mask_id, torch.Generator().manual_seed(1))


@mistake("05.mask_tokens", "`generator=generator`")
def no_generator(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, rate, mask_id, None)


@mistake("05.mask_tokens", "Nothing is hidden")
def nothing(ids, rate, mask_id, generator):
    return ids.clone(), torch.full_like(ids, -100)


@mistake("05.mask_tokens", "A token was replaced by 0")
def zeros(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, rate, 0, generator)


@mistake("05.mask_tokens", "It should be -100")
def zero_labels(ids, rate, mask_id, generator):
    inputs, labels = lesson_05.my_mask_tokens(ids, rate, mask_id, generator)
    return inputs, labels.masked_fill((labels == -100) & (ids < 2000), 0)


@mistake("05.mask_tokens", "do not ask for it")
def forgets_some(ids, rate, mask_id, generator):
    inputs, labels = lesson_05.my_mask_tokens(ids, rate, mask_id, generator)
    return inputs, labels.masked_fill(labels < 2000, -100)


@mistake("05.mask_tokens", "inputs and labels, two tensors")
def inputs_only(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, rate, mask_id, generator)[0]


# --- 05.pseudo_log_likelihood -----------------------------------------------------------------------------------


def score(logprob_fn, ids, mask_id, read, hide=lambda t: t):
    total = 0.0
    for t in range(len(ids)):
        inputs = ids.clone()
        inputs[hide(t)] = mask_id
        total = total + read(logprob_fn(inputs), t, ids)
    return total


@mistake("05.pseudo_log_likelihood", "hid all 5 tokens at once")
def all_at_once(logprob_fn, ids, mask_id):
    return logprob_fn(torch.full_like(ids, mask_id))[torch.arange(len(ids)), ids].sum()


@mistake("05.pseudo_log_likelihood", "log-probabilities of all positions")
def sum_all(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[torch.arange(len(ids)), ids].sum())


@mistake("05.pseudo_log_likelihood", "nothing hidden")
def sees_everything(logprob_fn, ids, mask_id):
    return logprob_fn(ids)[torch.arange(len(ids)), ids].sum()


@mistake("05.pseudo_log_likelihood", "The blanks pile up")
def pile_up(logprob_fn, ids, mask_id):
    total, inputs = 0.0, ids.clone()
    for t in range(len(ids)):
        inputs[t] = mask_id
        total += logprob_fn(inputs)[t, ids[t]]
    return total


@mistake("05.pseudo_log_likelihood", "from its left side only")
def left_only(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t, ids[t]], hide=lambda t: slice(t, None))


@mistake("05.pseudo_log_likelihood", "hide one at a time")
def two_at_a_time(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t, ids[t]], hide=lambda t: slice(t, t + 2))


@mistake("05.pseudo_log_likelihood", "never hidden")
def forgets_the_first(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t, ids[t]], hide=lambda t: max(t, 1))


@mistake("05.pseudo_log_likelihood", "the mask token itself")
def reads_the_mask(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t, mask_id])


@mistake("05.pseudo_log_likelihood", "one position too early")
def reads_like_gpt(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t - 1, ids[t]])


@mistake("05.pseudo_log_likelihood", "average over the tokens")
def average(logprob_fn, ids, mask_id):
    return lesson_05.my_pseudo_log_likelihood(logprob_fn, ids, mask_id) / len(ids)


@mistake("05.pseudo_log_likelihood", "sign is wrong")
def negative(logprob_fn, ids, mask_id):
    return -lesson_05.my_pseudo_log_likelihood(logprob_fn, ids, mask_id)


@mistake("05.pseudo_log_likelihood", "You added probabilities")
def sum_of_probabilities(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t, ids[t]].exp())


@mistake("05.pseudo_log_likelihood", "You returned a probability")
def product(logprob_fn, ids, mask_id):
    return math.exp(lesson_05.my_pseudo_log_likelihood(logprob_fn, ids, mask_id))


@mistake("05.pseudo_log_likelihood", "one a token")
def per_token(logprob_fn, ids, mask_id):
    return logprob_fn(ids)[torch.arange(len(ids)), ids]


@mistake("05.pseudo_log_likelihood", "never asked the model")
def never_asked(logprob_fn, ids, mask_id):
    return -12.0


@mistake("05.pseudo_log_likelihood", "was given shape `(1, 5)`")
def batched(logprob_fn, ids, mask_id):
    return logprob_fn(ids[None])[0, 0, 0]


@mistake("05.pseudo_log_likelihood", "changed its input `ids` in place")
def hides_in_place(logprob_fn, ids, mask_id):
    ids[0] = mask_id
    return 0.0


# --- 05.best_pair -----------------------------------------------------------------------------------------------


mistake("05.best_pair", "New Francisco")(lambda a, b: (a.argmax(), (a @ b).argmax()))
mistake("05.best_pair", "then the best second word for it")(lambda a, b: (a.argmax(), b[a.argmax()].argmax()))
mistake("05.best_pair", "multiply by p(a)")(lambda a, b: best(b))
mistake("05.best_pair", "is a product")(lambda a, b: best(a[:, None] + b))
mistake("05.best_pair", "wrong way round")(lambda a, b: best(a[:, None] * b)[::-1] if len(a) == 4 else (1, 1))
mistake("05.best_pair", "`divmod(")(lambda a, b: (a[:, None] * b).argmax())
mistake("05.best_pair", "should return a pair")(lambda a, b: "San Francisco")


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


# --- The solutions are what the course's own models and trainers compute ----------------------------------------


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


def test_the_induction_head_can_be_looked_for_in_a_real_recording():
    from lmcore.models import Transformer, TransformerConfig, record

    model = Transformer(TransformerConfig(vocab_size=50, n_layer=2, n_head=2, n_kv_head=1, n_embd=8))
    once = torch.randint(50, (1, 10))
    layer, head = lesson_04.my_induction_head(record(model, torch.cat([once, once], dim=1)).attention)
    assert layer in (0, 1) and head in (0, 1)


def test_no_other_policy_reaches_the_optimal_ones_objective():
    torch.manual_seed(0)
    ref, rewards = torch.rand(8).softmax(0), torch.randn(8)
    best_policy = lesson_09.my_optimal_policy(ref, rewards, 0.3)
    bound = 0.3 * (ref * (rewards / 0.3).exp()).sum().log()  # J* = beta log sum ref exp(r / beta)
    torch.testing.assert_close(lesson_09._objective(best_policy, ref, rewards, 0.3), bound)
