"""TRL 1.12's trainers around our models, and what they compute on a small batch, for tests/test_trl_parity.py.

TRL 1.13 has no PPO any more, and TRL brings much along, so it has an environment of its own:

    python3 -m venv /tmp/trl
    /tmp/trl/bin/pip install -c constraints.txt trl==1.12.0 torch transformers datasets
    /tmp/trl/bin/python -m benchmarks.trl_peer --record     # writes tests/data/trl.safetensors

Nothing of TRL is replaced but the sampling: the answers are given, so that both sides look at the same ones. What
happens inside its PPO's `train` is read off that function's own variables.
"""

import argparse
import contextlib
import copy
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import torch
import transformers
import trl
from datasets import Dataset
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import (
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
    PrinterCallback,
    ProgressCallback,
    TrainerCallback,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

from benchmarks.peers import NAMES, as_llama
from lmcore.models import Transformer, TransformerConfig

RECORD = Path(__file__).parents[1] / "tests" / "data" / "trl.safetensors"
PAD, END = 0, 1
SIZES = TransformerConfig(vocab_size=24, context_length=32, n_layer=1, n_head=2, n_kv_head=1, n_embd=16, n_hidden=32)
PPO = {
    "temperature": 0.7, "kl_coef": 0.3, "gamma": 0.97, "lam": 0.9, "cliprange": 0.1, "cliprange_value": 0.1,
    "vf_coef": 0.5, "missing_eos_penalty": 0.7, "num_ppo_epochs": 2, "num_mini_batches": 2, "response_length": 6,
    "learning_rate": 0.01,
}  # fmt: skip
PROMPT_LENGTHS = (5, 2, 4, 1, 3, 5, 2, 4)
ANSWER_LENGTHS = {"full": (6,) * 8, "early": (6, 1, 3, 5, 2, 6, 4, 3)}
METRICS = ("objective/kl", "objective/non_score_reward", "objective/rlhf_reward", "objective/scores")
BETA = 0.3
PAIRS = [  # prompt, chosen, rejected
    ([5, 6, 7], [10, 11, 12, 13], [8, 9]), ([14], [18], [15, 16, 17]), ([2, 3], [4], [5, 5, 6]), ([9], [7], [3]),
    ([6], [20], [21, 3]),
]  # fmt: skip


class RuleReward(nn.Module):
    """A rule on token ids in the shape that TRL wants of a reward model: score(backbone(ids).hidden_states[-1])."""

    base_model_prefix = "read"

    def __init__(self, rule: Callable[[Tensor], Tensor], prompt_length: int):
        super().__init__()
        self.rule, self.prompt_length = rule, prompt_length

    def read(self, input_ids: Tensor, **_) -> SimpleNamespace:
        scores = self.rule(input_ids[:, self.prompt_length :])  # (B,)
        return SimpleNamespace(hidden_states=[scores[:, None, None].expand(*input_ids.shape, 1)])

    def score(self, hidden: Tensor) -> Tensor:
        return hidden


class ValueModel(nn.Module):
    """A value model in TRL's sense around a trunk of transformers', which may be the policy's own."""

    base_model_prefix = "model"

    def __init__(self, trunk: nn.Module, weight: Tensor | None = None, bias: Tensor | None = None):
        super().__init__()
        self.model, self.score = trunk, nn.Linear(trunk.config.hidden_size, 1)
        with torch.no_grad():  # as ours: a value function that knows nothing yet says nothing
            self.score.weight.copy_(torch.zeros_like(self.score.weight) if weight is None else weight)
            self.score.bias.copy_(torch.zeros_like(self.score.bias) if bias is None else bias)


def tokenizer(size: int, pad_id: int, end_id: int) -> PreTrainedTokenizerFast:
    """Words "<0>", "<1>" ... that stand for the tokens 0, 1 ..., with nothing between them."""
    made = Tokenizer(models.WordLevel({f"<{number}>": number for number in range(size)}))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"<\d+>"), "isolated")
    special = {"pad_token": f"<{pad_id}>", "eos_token": f"<{end_id}>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, padding_side="left", **special)


def settings(folder: str) -> dict:
    """What all of TRL's configs share: plain float32 on the processor, nothing stored, nothing reported."""
    return {
        "output_dir": folder, "report_to": "none", "use_cpu": True, "bf16": False, "gradient_checkpointing": False,
        "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": False,
    }  # fmt: skip


def fast_ppo(model: Transformer, prompts: Tensor, rule, shape, rate: float, seed: int, clock: TrainerCallback):
    """TRL's PPOTrainer for a race, without whatever would only slow it down; it trains practically for ever.

    Args: prompts long (rows, P); rule: score of answers, long (B, N) -> (B,); shape: lmcore's PPOConfig; clock: is
        called at the beginning and after each iteration.
    """
    args = PPOConfig(
        **settings(tempfile.gettempdir()), learning_rate=rate, lr_scheduler_type="constant", seed=seed,
        per_device_train_batch_size=shape.batch_size, total_episodes=10_000 * shape.batch_size,
        local_rollout_forward_batch_size=shape.batch_size, num_sample_generations=0,
        **{name: getattr(shape, name) for name in PPO.keys() - {"learning_rate", "missing_eos_penalty"}},
    )  # fmt: skip
    policy, V = as_llama(model), model.config.vocab_size
    trainer = PPOTrainer(
        args, tokenizer(V + 2, V, V + 1), policy, as_llama(model),  # no answer ends early: neither can be drawn
        RuleReward(rule, prompts.size(1)), Dataset.from_dict({"input_ids": prompts.tolist()}),
        ValueModel(copy.deepcopy(policy.model)), callbacks=[clock],
    )  # fmt: skip
    for printing in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(printing)
    return trainer


def random_model(seed: int) -> Transformer:
    """All weights random, also those that start at zero or one."""
    model, draw = Transformer(SIZES), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "norm" in name else 0.0, 0.3, generator=draw)
    return model


def their_name(name: str) -> str:
    """What one of our parameters is called in transformers' Llama."""
    for ours, theirs in NAMES.items():
        name = re.sub(ours, theirs, name)
    return name


def gradients(policy: Transformer, peer: nn.Module, prefix: str) -> dict[str, Tensor]:
    """The gradients in `peer`, by the names of our parameters; `peer` may lack the unembedding."""
    found = {name: parameter.grad for name, parameter in peer.named_parameters()}
    names = {ours: prefix + their_name(ours) for ours, _ in policy.named_parameters()}
    return {ours: found[theirs].clone() for ours, theirs in names.items() if theirs in found}


def variables_of_train() -> dict:
    """The variables of PPOTrainer.train as they are now, somewhere above in the stack."""
    frame = sys._getframe(1)
    while frame.f_code is not PPOTrainer.train.__code__:
        frame = frame.f_back
    return frame.f_locals


@contextlib.contextmanager
def given(answers: Tensor, whitened: list) -> Iterator[None]:
    """TRL's PPO with these answers instead of sampled ones, and with what it whitens kept in a list."""
    sample, whiten = ppo_trainer.batch_generation, ppo_trainer.masked_whiten

    def no_sampling(policy, queries, _, pad_id, generation_config):
        ids = torch.cat([queries, answers], dim=1)
        logits = ppo_trainer.forward(policy, ids, pad_id).logits[:, queries.size(1) - 1 : -1]
        return ids, logits / generation_config.temperature

    def whiten_and_keep(values, mask, **how):
        whitened.append(values.clone())
        return whiten(values, mask, **how)

    ppo_trainer.batch_generation, ppo_trainer.masked_whiten = no_sampling, whiten_and_keep
    try:
        yield
    finally:
        ppo_trainer.batch_generation, ppo_trainer.masked_whiten = sample, whiten


def answers_of(lengths: tuple[int, ...], draw: torch.Generator) -> Tensor:
    """Random answers, long (B, N), with end-of-turn and padding; every other one of full length has no end-of-turn."""
    ids = torch.randint(2, SIZES.vocab_size, (len(lengths), max(lengths)), generator=draw)
    for row, length in enumerate(lengths):
        ids[row, length:] = PAD
        if length < ids.size(1) or row % 2:
            ids[row, length - 1] = END
    return ids


def record_ppo(case: str, policy: Transformer, reference: Transformer, head: nn.Linear) -> dict[str, Tensor]:
    """One iteration of TRL's PPO with plain gradient descent: two epochs of two minibatches."""
    draw = torch.Generator().manual_seed(2)
    answers = answers_of(ANSWER_LENGTHS[case], draw)
    prompts = [torch.randint(2, SIZES.vocab_size, (n,), generator=draw).tolist() for n in PROMPT_LENGTHS]
    given_scores = torch.linspace(-1.0, 1.5, len(prompts))
    peer = as_llama(policy)
    value_model = ValueModel(peer.model, head.weight, head.bias)
    parameters = [*peer.parameters(), *value_model.score.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=PPO["learning_rate"])
    kept: dict[str, Tensor] = {"given_scores": given_scores}
    orders, whitened = [], []

    def before_step(*_) -> None:
        number = len(orders)
        orders.append(torch.tensor(variables_of_train()["mini_batch_inds"]))
        of_policy = gradients(policy, trainer.model, "policy.")
        of_head = {f"head.{name}": p.grad.clone() for name, p in value_model.score.named_parameters()}
        kept.update({f"gradient.{number}.{name}": gradient for name, gradient in (of_policy | of_head).items()})

    class Keep(PPOTrainer):
        def log(self, logs, *args, **kwargs):
            found = variables_of_train()
            kept["ids"] = found["query_responses"]
            for name in ("logprobs", "ref_logprobs", "values", "scores", "kl", "rewards", "advantages", "returns"):
                kept[name] = found[name]
            for name in ("pg_loss", "vf_loss", "pg_clipfrac", "vf_clipfrac", "approxkl", "ratio", "entropy"):
                kept[name] = found[f"{name}_stats"].flatten()
            kept["metrics"] = torch.tensor([logs[name] for name in METRICS])

    with tempfile.TemporaryDirectory() as folder, given(answers, whitened):
        trainer = Keep(
            PPOConfig(
                **settings(folder), **PPO, per_device_train_batch_size=len(prompts), total_episodes=len(prompts),
                num_sample_generations=0, stop_token="eos",
            ),
            tokenizer(SIZES.vocab_size, PAD, END), peer, as_llama(reference),
            RuleReward(lambda _: given_scores.clone(), max(PROMPT_LENGTHS)),
            Dataset.from_dict({"input_ids": prompts}), value_model,
            optimizers=(optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)),
        )  # fmt: skip
        optimizer.register_step_pre_hook(before_step)
        trainer.train()
    (raw,) = whitened
    return kept | {"orders": torch.stack(orders), "advantages_before_whitening": raw}


def words(ids: list[int]) -> str:
    return "".join(f"<{number}>" for number in ids)


def record_dpo(policy: Transformer, reference: Transformer) -> dict[str, Tensor]:
    """The loss, rewards and gradients of TRL's DPOTrainer on one batch."""
    rows = [dict(zip(("prompt", "chosen", "rejected"), map(words, pair), strict=True)) for pair in PAIRS]
    with tempfile.TemporaryDirectory() as folder:
        trainer = trl.DPOTrainer(
            as_llama(policy), as_llama(reference),
            args=trl.DPOConfig(**settings(folder), beta=BETA, per_device_train_batch_size=len(rows)),
            train_dataset=Dataset.from_list(rows), processing_class=tokenizer(SIZES.vocab_size, PAD, END),
        )  # fmt: skip
        kept = one_loss(trainer, ("ids", "learnt"), ("input_ids", "completion_mask"))
    for name in ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"):
        kept[name] = torch.tensor(trainer._metrics["train"][name])
    return kept | {f"gradient.{name}": g for name, g in gradients(policy, trainer.model, "").items()}


def record_reward(policy: Transformer, head: nn.Linear) -> dict[str, Tensor]:
    """The loss and gradients of TRL's RewardTrainer on one batch."""
    rows = [{"chosen": words(prompt + won), "rejected": words(prompt + lost)} for prompt, won, lost in PAIRS]
    peer = as_llama(policy)
    config = copy.deepcopy(peer.config)
    config.num_labels, config.pad_token_id = 1, PAD
    model = LlamaForSequenceClassification(config)
    model.model.load_state_dict(peer.model.state_dict())
    model.score.weight.data.copy_(head.weight)
    with tempfile.TemporaryDirectory() as folder:
        trainer = trl.RewardTrainer(
            model, args=trl.RewardConfig(**settings(folder), per_device_train_batch_size=len(rows)),
            train_dataset=Dataset.from_list(rows), processing_class=tokenizer(SIZES.vocab_size, PAD, END),
        )  # fmt: skip
        kept = one_loss(trainer, ("ids", "mask"), ("input_ids", "attention_mask"))
    for name in ("accuracy", "margin", "mean_reward"):
        kept[name] = torch.tensor(trainer._metrics["train"][name])
    kept["gradient.head.weight"] = model.score.weight.grad.clone()
    return kept | {f"gradient.{name}": g for name, g in gradients(policy, model, "").items()}


def one_loss(trainer, ours: tuple[str, ...], theirs: tuple[str, ...]) -> dict[str, Tensor]:
    """Loss and gradients of one batch that the trainer puts together itself."""
    (batch,) = trainer.get_train_dataloader()
    kept = {name: batch[other].clone() for name, other in zip(ours, theirs, strict=True)}
    trainer.model.train()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return kept | {"loss": loss.detach()}


def record() -> None:
    """Write RECORD, the same each time."""
    transformers.set_seed(0)  # TRL orders minibatches by numpy
    policy, reference = random_model(0), random_model(0)
    with torch.no_grad():  # some way off, as a reference is from a policy
        for parameter, other in zip(reference.parameters(), random_model(1).parameters(), strict=True):
            parameter.lerp_(other, 0.2)
    head = nn.Linear(SIZES.n_embd, 1)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(3))
    parts = {"policy": policy.state_dict(), "reference": reference.state_dict(), "head": head.state_dict()}
    parts |= {case: record_ppo(case, policy, reference, head) for case in ANSWER_LENGTHS}
    parts |= {"dpo": record_dpo(policy, reference), "reward": record_reward(policy, head)}
    tensors = {f"{part}/{name}": t.contiguous().clone() for part, found in parts.items() for name, t in found.items()}
    versions = {module.__name__: module.__version__ for module in (trl, transformers, torch)}
    told = {"versions": versions, "ppo": PPO, "prompt_length": max(PROMPT_LENGTHS), "beta": BETA, "metrics": METRICS}
    save_file(tensors, RECORD, metadata={name: json.dumps(value) for name, value in told.items()})
    print(f"{RECORD}: {len(tensors)} tensors, {RECORD.stat().st_size / 1000:.0f} kB, {versions}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--record", action="store_true", required=True, help="write tests/data/trl.safetensors")
    parser.parse_args()
    record()
