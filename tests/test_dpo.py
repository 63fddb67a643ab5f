"""DPO: the loss by hand, the gradient, and the exact optimum of RLHF in a world that can be enumerated."""

import copy
import math
from dataclasses import replace
from functools import cache

import pytest
import torch

from lmcore.data.tokenizer import Tokenizer
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import DPOConfig, DPOTrainer
from lmcore.trainers.dpo import completion_logprobs, dpo_loss
from tests.letter_world import ANSWERS, LETTERS, LetterTokenizer, answer_logprobs, count_a, random_model

ROWS = [
    {"prompt": "Hi!", "chosen": "Hello, friend.", "rejected": "Go away."},
    {"prompt": "Two plus two?", "chosen": "Four.", "rejected": "I do not know, and who are you to ask?"},
    {"prompt": "Bye", "chosen": "See you soon.", "rejected": "At last."},
]


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.train([text for row in ROWS for text in row.values()], vocab_size=280)


def trainer(rows=ROWS, context_length=64, **config) -> DPOTrainer:
    sizes = TransformerConfig(tokenizer().vocab_size, context_length, n_layer=1, n_head=2, n_kv_head=1, n_embd=32)
    policy = Transformer(sizes, torch.Generator().manual_seed(0))
    reference = copy.deepcopy(policy)
    settings = DPOConfig(**{"batch_size": 3, "learning_rate": 3e-3, "warmup_steps": 1, **config})
    return DPOTrainer(policy, reference, rows, settings, tokenizer=tokenizer(), sample_prompts=("Hi!",))


def logprob(model, prompt: str, answer: str) -> float:
    """log pi of the answer and its end-of-turn, token by token."""
    start = tokenizer().chat([{"role": "user", "content": prompt}], add_generation_prompt=True)
    rest = [*tokenizer().encode(answer), tokenizer().end_id]
    with torch.no_grad():
        logprobs = model(torch.tensor([start + rest]))[0].log_softmax(-1)
    return sum(float(logprobs[len(start) + i - 1, token]) for i, token in enumerate(rest))


def test_the_loss_by_hand():
    chosen, rejected = torch.tensor([0.3, -0.1]), torch.tensor([0.1, 0.4])
    terms = [math.log(1 + math.exp(-0.2)), math.log(1 + math.exp(0.5))]
    assert float(dpo_loss(chosen, rejected, torch.ones(2))) == pytest.approx(sum(terms) / 2)
    unsure = torch.tensor([0.7, 1.0])
    first = 0.7 * terms[0] + 0.3 * math.log(1 + math.exp(0.2))
    assert float(dpo_loss(chosen, rejected, unsure)) == pytest.approx((first + terms[1]) / 2)


def test_metrics_by_hand_padding_included():
    tuning = trainer(beta=0.5)
    with torch.no_grad():  # a policy that has left its reference
        tuning.policy.embedding.weight += 0.1 * torch.randn(
            tuning.policy.embedding.weight.shape, generator=torch.Generator().manual_seed(1)
        )
    rewards = {
        side: [0.5 * (logprob(tuning.policy, r["prompt"], r[side]) - logprob(tuning.reference, r["prompt"], r[side]))
               for r in ROWS]
        for side in ("chosen", "rejected")
    }  # fmt: skip
    margins = [won - lost for won, lost in zip(rewards["chosen"], rewards["rejected"], strict=True)]
    logps = [logprob(tuning.policy, row["prompt"], row["chosen"]) for row in ROWS]
    metrics = tuning.step()
    assert metrics["rewards/chosen"] == pytest.approx(sum(rewards["chosen"]) / 3, abs=1e-4)
    assert metrics["rewards/rejected"] == pytest.approx(sum(rewards["rejected"]) / 3, abs=1e-4)
    assert metrics["rewards/margins"] == pytest.approx(sum(margins) / 3, abs=1e-4)
    assert metrics["rewards/accuracies"] == pytest.approx(sum(margin > 0 for margin in margins) / 3)
    assert metrics["logps/chosen"] == pytest.approx(sum(logps) / 3, abs=1e-3)
    assert metrics["loss"] == pytest.approx(sum(math.log(1 + math.exp(-m)) for m in margins) / 3, abs=1e-4)


def test_a_policy_equal_to_its_reference_has_no_reward():
    metrics = trainer(learning_rate=0.0).step()
    assert metrics["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert metrics["rewards/chosen"] == metrics["rewards/margins"] == 0


def test_it_learns_the_preferences_and_the_reference_stays():
    tuning = trainer()
    before = copy.deepcopy(tuning.reference.state_dict())
    history = tuning.run(30, progress=False)
    assert history[-1]["rewards/accuracies"] == 1 and history[-1]["loss"] < 0.3
    for name, tensor in tuning.reference.state_dict().items():
        assert torch.equal(tensor, before[name])
    (sample,) = tuning.samples(4)
    assert sample["prompt"] == "Hi!" and sample["before"] != sample["now"]


def test_the_gradient_is_the_finite_difference():
    tuning = trainer(beta=0.5)
    tuning.policy.double()
    tuning.reference.double()
    tuning.loss(tuning.rows, tuning.config)[0].backward()
    generator = torch.Generator().manual_seed(0)
    for name, parameter in tuning.policy.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter += step * direction
                values.append(float(tuning.loss(tuning.rows, tuning.config)[0]))
                parameter -= step * direction
        exact = float((parameter.grad * direction).sum())
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(exact, rel=1e-5, abs=1e-7), name
    assert all(parameter.grad is None for parameter in tuning.reference.parameters())


def test_what_stands_in_the_padding_changes_no_number():
    tuning = trainer()
    ids = torch.tensor([[1, 2, 3, 4, 0, 0], [1, 2, 3, 4, 5, 6]])
    learnt = torch.tensor([[False, False, True, True, False, False], [False, False, True, True, True, True]])
    expected = completion_logprobs(tuning.policy, ids, learnt)
    changed = ids.clone()
    changed[0, 4:] = 9
    torch.testing.assert_close(completion_logprobs(tuning.policy, changed, learnt), expected)
    alone = completion_logprobs(tuning.policy, ids[:1, :4], learnt[:1, :4])
    torch.testing.assert_close(alone, expected[:1], atol=1e-5, rtol=1e-5)


class WholeLetters(LetterTokenizer):
    """Answers of the tiny world have a fixed length, so no end of turn is learnt."""

    def chat_with_mask(self, messages):
        prompt, answer = (self.chat([message]) for message in messages)
        return prompt + answer, [False] * len(prompt) + [True] * len(answer)


def test_dpo_approaches_the_exact_optimum_of_rlhf():
    """With exact preference probabilities the optimum is pi_ref exp(r / beta) / Z, PPO's too (test_ppo.py)."""
    beta, generator = 0.5, torch.Generator().manual_seed(0)
    texts = ["".join(LETTERS[i] for i in row) for row in ANSWERS.tolist()]
    worth = count_a(None, texts)
    policy = random_model(0)
    reference = copy.deepcopy(policy)
    with torch.no_grad():
        log_ref = answer_logprobs(reference).sum(1)
    # Pairs as people would see them: one answer drawn from the reference, one from anywhere.
    first = torch.multinomial(log_ref.exp(), 6000, replacement=True, generator=generator)
    second = torch.randint(len(ANSWERS), (6000,), generator=generator)
    rows = [
        {"prompt": "a", "chosen": texts[i], "rejected": texts[j],
         "probability": float(torch.sigmoid(worth[i] - worth[j]))}
        for i, j in zip(first.tolist(), second.tolist(), strict=True)
    ]  # fmt: skip
    config = DPOConfig(beta=beta, batch_size=128, learning_rate=5e-3, warmup_steps=1, total_steps=160)
    tuning = DPOTrainer(policy, reference, rows, config, tokenizer=WholeLetters())

    log_best = log_ref + worth / beta
    best = float(beta * log_best.logsumexp(0))
    log_best = log_best - log_best.logsumexp(0)

    def objective_and_distance() -> tuple[float, float]:
        with torch.no_grad():
            log_pi = answer_logprobs(tuning.policy).sum(1)
            reached = log_pi.exp() * (worth - beta * (log_pi - log_ref))
            return float(reached.sum()), float((log_pi.exp() * (log_pi - log_best)).sum())

    before, far = objective_and_distance()
    tuning.run(160, progress=False)
    after, near = objective_and_distance()
    assert before < after <= best + 1e-5
    assert (after - before) / (best - before) > 0.9 and near < 0.1 * far


def test_each_epoch_sees_every_pair_once_and_snapshots_repeat():
    tuning = trainer(batch_size=1)
    seen = [tuning.epochs.next(1, tuning.generator)[0] for _ in range(6)]
    assert sorted(seen[:3]) == sorted(seen[3:]) == [0, 1, 2] and tuning.steps_per_epoch == 3
    tuning.step()
    snapshot = tuning.state_dict()
    first = tuning.run(3, progress=False)
    tuning.load_state_dict(snapshot)
    assert tuning.run(3, progress=False) == first


def test_bad_input_is_a_sentence():
    with pytest.raises(ValueError, match="no preferences"):
        trainer(rows=[])
    with pytest.raises(ValueError, match="beta=0"):
        replace(DPOConfig(), beta=0)
    with pytest.raises(ValueError, match="pair 0: the prompt alone fills the context of 16"):
        trainer(rows=[{"prompt": "Hi! " * 30, "chosen": "a", "rejected": "b"}], context_length=16)


@pytest.mark.parametrize("masked", ["policy", "reference"])
def test_a_model_that_fills_blanks_has_no_preferences_to_learn(masked):
    models = {}
    for name in ("policy", "reference"):
        causal = name != masked
        sizes = TransformerConfig(tokenizer().vocab_size, n_layer=1, n_head=2, n_kv_head=1, n_embd=16, causal=causal)
        models[name] = Transformer(sizes)
    with pytest.raises(ValueError, match="causal policy and reference.* fills blanks"):
        DPOTrainer(**models, preferences=ROWS, tokenizer=tokenizer())
