"""How stages are made: `python -m lmcore.recipes base mlm sft ...` trains them, with the settings below.

A stage's card has the settings that it was really made with: where they differ from these, it is older than its recipe.

Left out on purpose: options. A recipe is read from top to bottom; another recipe is another function. A training that
was broken off goes on from its last saved step (in the user's cache directory) when the same one is started again.
"""

import argparse
import copy
import hashlib
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from lmcore import checkpoints
from lmcore.cards import base_samples, chat_samples, describe, mlm_samples
from lmcore.data import almanac, corpus
from lmcore.data.almanac.demonstrations import CASUAL
from lmcore.data.mixtures import as_tokens, conversations, documents, held_out_documents
from lmcore.data.tokenizer import SPECIAL_TOKENS, Tokenizer
from lmcore.evaluate import evaluate
from lmcore.evaluation import feedback
from lmcore.models import RewardModel, Transformer, TransformerConfig
from lmcore.trainers import (
    MaskedLMConfig,
    MaskedLMTrainer,
    PPOConfig,
    PPOTrainer,
    PretrainConfig,
    PretrainTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
    Trainer,
)
from lmcore.trainers.half_precision import bfloat16_pays

VOCAB_SIZE = 4096
MLM_STEPS, SFT_STEPS, PPO_STEPS = 2000, 3000, 400
BASE_STEPS = {"base_books": 4500, "base_web": 2500, "base_more_web": 5000}  # pretraining in three parts
SMALL_STEPS = {"small_base": 3000, "small_sft": 9000, "small_rlhf": 400}
SMALL_DEMONSTRATIONS = 450_000  # a small model needs to see more
LABELLED_PROMPTS, HELD_OUT_PROMPTS = 40_000, 2000  # four answers to each are compared, each pair once
LABELLED_INSTRUCTIONS = 14_000  # and of these, against the obedience that PPO loses
# Of what other people preferred, 70 % was foreseen after 250 steps so, 68 % after as many of AdamW (0.001).
MUON = {"optimizer": "muon", "learning_rate": 1e-2}
KL_COEF, PTX_COEF = 0.3, 0.5
PPO_RATE = 1.5e-4  # at twice that, answers in capitals fell apart after 110 steps, and the KL with them


def train_tokenizer() -> Tokenizer:
    """Byte-pair merges from the training text; names that somebody made up get no tokens of their own."""
    texts = documents(chat_repeats=1, almanac_characters=9_000_000, tales=False)
    return Tokenizer.train(texts, vocab_size=VOCAB_SIZE)


def shared_tokenizer(directory: Path) -> Tokenizer:
    """The directory's tokenizer if stages other than base need it, else one trained anew."""
    path = directory / "tokenizer.json"
    if path.exists() and set(checkpoints.available(directory)) - {"base"}:
        print(f"base: keeps {path}, which other stages need; an empty directory gets a new one", flush=True)
        return Tokenizer.load(path)
    return train_tokenizer()


def train_base(directory: Path) -> None:
    """A GPT on everything: chat and almanac, first as it is, then as people on the internet retell it."""
    tokenizer = shared_tokenizer(directory)
    model = Transformer(TransformerConfig(tokenizer.vocab_size), torch.Generator().manual_seed(0))
    held_out = as_tokens(held_out_documents(), tokenizer)
    minutes = 0.0
    pages = {
        "base_books": {}, "base_web": {"careless": True},
        "base_more_web": {"careless": True, "chat_repeats": 4, "almanac_characters": 36_000_000},
    }  # fmt: skip
    for name, steps in BASE_STEPS.items():
        config = PretrainConfig(batch_size=16, total_steps=steps, eval_every=250, bfloat16=bfloat16_pays())
        tokens = as_tokens(documents(**pages[name]), tokenizer)
        trainer = PretrainTrainer(model, tokens, config, held_out)
        minutes += train(trainer, name, steps, directory)
    chat = as_tokens(corpus.chitchat()["validation"]["text"], tokenizer)
    card = describe("Next-token prediction on human chat and the almanac", trainer, minutes) | {
        "steps_before": sum(BASE_STEPS.values()) - steps,  # with the same settings otherwise
        "validation_loss": round(trainer.evaluate(), 3),
        "validation_loss_chat": round(PretrainTrainer(model, tokens, config, chat).evaluate(), 3),
        "samples": base_samples(model, tokenizer),
    }
    keep("base", model, tokenizer, card, directory, parts=BASE_STEPS)


def train_mlm(directory: Path) -> None:
    """The same text and sizes, looking to both sides, starting from base's weights, which know the words."""
    base = checkpoints.load("base", directory)
    tokenizer = base.tokenizer
    model = Transformer(replace(base.model.config, causal=False))
    model.load_state_dict(base.model.state_dict())
    config = MaskedLMConfig(  # hiding 40 % gives more to learn from a step than 25 % (Wettig et al. 2022, 2202.08005)
        batch_size=32, sequence_length=128, total_steps=MLM_STEPS, eval_every=250, mask_rate=0.4,
        bfloat16=bfloat16_pays(),
    )  # fmt: skip
    tokens, held_out = as_tokens(documents(), tokenizer), as_tokens(held_out_documents(), tokenizer)
    special = tuple(range(len(SPECIAL_TOKENS)))
    trainer = MaskedLMTrainer(model, tokens, tokenizer.mask_id, config, held_out, special)
    minutes = train(trainer, "mlm", MLM_STEPS, directory)
    what = "Masked language modelling on human chat and the almanac, from base's weights"
    card = describe(what, trainer, minutes) | {
        "validation_loss": round(trainer.evaluate(), 3),
        "samples": mlm_samples(model, tokenizer),
    }
    keep("mlm", model, tokenizer, card, directory)


def train_sft(directory: Path) -> None:
    """The base model learns to answer, from a crowd's demonstrations, flaws included, and goes on reading its text."""
    base = checkpoints.load("base", directory)
    config = SFTConfig(total_steps=SFT_STEPS, ptx_coef=1.0, **MUON)
    tokens = as_tokens(documents(), base.tokenizer)
    trainer = SFTTrainer(base.model.train(), conversations(), base.tokenizer, config, ptx_tokens=tokens)
    minutes = train(trainer, "sft", SFT_STEPS, directory)
    what = "Supervised fine-tuning of base on a crowd's demonstrations and human small talk"
    save_chat_model("sft", trainer, trainer.model, base.tokenizer, what, minutes, directory)


def train_reward(directory: Path) -> None:
    """A copy of the SFT model, with that model as its reader, learns what simulated people prefer of its answers."""
    sft = checkpoints.load("sft", directory)
    tasks = almanac.prompts("train", n=LABELLED_PROMPTS, seed=3, casual=CASUAL)
    tasks += almanac.prompts("train", "instruction", n=LABELLED_INSTRUCTIONS, seed=3, casual=CASUAL)
    prompts = [task.prompt for task in tasks]
    learnt = feedback.collect(sft.model, sft.tokenizer, prompts)
    unseen = [task.prompt for task in almanac.prompts("validation", n=HELD_OUT_PROMPTS, seed=3)]
    asked = feedback.collect(sft.model, sft.tokenizer, unseen, crowd="other people", seed=1)
    generator = torch.Generator().manual_seed(0)
    model = RewardModel(copy.deepcopy(sft.model), sft.tokenizer, generator, reader=sft.model)
    trainer = RewardTrainer(model, learnt.pairs, RewardConfig(**MUON))
    trainer.config = replace(trainer.config, total_steps=trainer.steps_per_epoch)
    minutes = train(trainer, "reward", trainer.steps_per_epoch, directory)
    shown = list(asked.pairs)
    model.normalise([pair["prompt"] for pair in shown] * 2, [p[side] for side in ("chosen", "rejected") for p in shown])
    found = trainer.evaluate(shown)
    card = describe("A reward model: sft, taught by the votes of simulated people", trainer, minutes) | {
        "votes": len(learnt.pairs),
        "agreement_of_two_people": round(learnt.agreement, 3),
        "accuracy_on_other_people": round(found["accuracy"], 3),
        "accuracy_possible": round(asked.ceiling, 3),
    }
    keep("reward", model, sft.tokenizer, card, directory)


def train_rlhf(directory: Path, name: str = "rlhf", ptx_coef: float = 0.0) -> None:
    """PPO from sft, rewarded by the reward model, on a leash to sft."""
    sft, reward = (checkpoints.load(stage, directory) for stage in ("sft", "reward"))
    prompts = [task.prompt for task in almanac.prompts("train", n=LABELLED_PROMPTS, seed=4, casual=CASUAL)]
    config = PPOConfig(learning_rate=PPO_RATE, kl_coef=KL_COEF, response_length=32, ptx_coef=ptx_coef)
    tokens = as_tokens(documents(), sft.tokenizer) if ptx_coef else None
    trainer = PPOTrainer(
        copy.deepcopy(sft.model), sft.model, reward.model, prompts, config, tokenizer=sft.tokenizer, ptx_tokens=tokens
    )
    minutes = train(trainer, name, PPO_STEPS, directory)
    what = "PPO from sft against the reward model" + (", pretraining text mixed in" if ptx_coef else "")
    save_chat_model(name, trainer, trainer.policy, sft.tokenizer, what, minutes, directory)


def train_rlhf_ptx(directory: Path) -> None:
    """The same with PPO-ptx: some pretraining text in every step."""
    train_rlhf(directory, "rlhf_ptx", PTX_COEF)


def train_small_rlhf(directory: Path) -> None:
    """A model ten times as small through all steps, fine-tuned for longer; the reward model is the large one's."""
    base, reward = (checkpoints.load(stage, directory) for stage in ("base", "reward"))
    tokenizer, tokens = base.tokenizer, as_tokens(documents(chat_repeats=1, careless=True), base.tokenizer)
    sizes = TransformerConfig(tokenizer.vocab_size, n_layer=3, n_head=4, n_kv_head=2, n_embd=40, n_hidden=160)
    model = Transformer(sizes, torch.Generator().manual_seed(0))
    pretrain, fine_tune, align = SMALL_STEPS.values()
    config = PretrainConfig(batch_size=16, total_steps=pretrain, bfloat16=bfloat16_pays())
    minutes = train(PretrainTrainer(model, tokens, config), "small_base", pretrain, directory)
    config = SFTConfig(total_steps=fine_tune, ptx_coef=0.5, **MUON)
    rows = conversations(SMALL_DEMONSTRATIONS)
    trainer = SFTTrainer(model, rows, tokenizer, config, ptx_tokens=tokens)
    minutes += train(trainer, "small_sft", fine_tune, directory)
    prompts = [task.prompt for task in almanac.prompts("train", n=LABELLED_PROMPTS, seed=4, casual=CASUAL)]
    config = PPOConfig(learning_rate=2 * PPO_RATE, kl_coef=KL_COEF, response_length=32)
    trainer = PPOTrainer(copy.deepcopy(model), model.eval(), reward.model, prompts, config, tokenizer=tokenizer)
    minutes += train(trainer, "small_rlhf", align, directory)
    what = "A small model: pretraining, supervised fine-tuning and PPO against the large one's reward model"
    save_chat_model("small_rlhf", trainer, trainer.policy, tokenizer, what, minutes, directory, SMALL_STEPS)


def save_chat_model(
    name: str,
    trainer: Trainer,
    model: Transformer,
    tokenizer: Tokenizer,
    what: str,
    minutes: float,
    directory: Path,
    parts: Iterable[str] = (),
) -> None:
    """A stage that answers, with its scores on held-out prompts and samples in the card."""
    scores = evaluate(checkpoints.Stage(name, model, tokenizer, {}))
    card = describe(what, trainer, minutes) | {
        "scores": {key: {part: round(value, 3) for part, value in found.items()} for key, found in scores.items()},
        "samples": chat_samples(model, tokenizer),
    }
    keep(name, model, tokenizer, card, directory, parts)


def keep(name: str, model: Any, tokenizer: Tokenizer, card: dict, directory: Path, parts: Iterable[str] = ()) -> None:
    """Write the stage; only now its trainings, one of its name or several `parts`, are no longer needed to go on."""
    checkpoints.save(name, model, tokenizer, card, directory)
    for part in parts or [name]:
        (cache_directory() / f"{part}.pt").unlink(missing_ok=True)


def train(trainer: Trainer, name: str, steps: int, directory: Path) -> float:
    """Run to `steps`, going on from the last saved step of the same training; `keep` ends that. Prints a line at times.

    Returns: the minutes that all steps took, those before a break included.
    """
    saved, seconds_before = cache_directory() / f"{name}.pt", 0.0
    ours = depends_on(trainer, directory)
    state = torch.load(saved) if saved.exists() else {}
    theirs = state.get("depends_on", {})
    if state and theirs != ours:
        other = ", ".join(what for what in ours if theirs.get(what) != ours[what])
        print(f"{name}: begins anew; what was broken off before is another training ({other})", flush=True)
    elif state:
        seconds_before = state["seconds"]
        trainer.load_state_dict(state["trainer"])
        print(f"{name}: goes on from step {trainer.steps_done}", flush=True)
    started, first = time.time(), trainer.steps_done
    while trainer.steps_done < steps:
        metrics = trainer.step()
        if trainer.steps_done % 50 == 0 or trainer.steps_done == steps:
            left = (time.time() - started) / (trainer.steps_done - first) * (steps - trainer.steps_done)
            shown = "  ".join(f"{key} {metrics[key]:.3f}" for key in SHOWN if key in metrics)
            print(f"{name}: step {trainer.steps_done}/{steps}  {shown}  {left / 60:.1f} min left", flush=True)
        if trainer.steps_done % 250 == 0 or trainer.steps_done == steps:
            seconds = seconds_before + time.time() - started
            state = {"trainer": trainer.state_dict(), "seconds": seconds, "depends_on": ours}
            checkpoints.save_whole(state, saved)
    return (seconds_before + time.time() - started) / 60


SHOWN = ("loss", "eval_loss", "accuracy", "objective/scores", "objective/kl")


def depends_on(trainer: Trainer, directory: Path) -> dict[str, Any]:
    """What tells two trainings of one name apart before they begin; weights and tokens by their checksum."""
    settings = asdict(trainer.config)
    settings.pop("bfloat16", None)  # it is tried anew each time, and the machine may have been busy
    read = [value for value in vars(trainer).values() if isinstance(value, torch.Tensor)]
    weights = [tensor for module in trainer.modules.values() for tensor in module.state_dict().values()]
    checksum = hashlib.sha256()
    for tensor in [*weights, *read]:
        checksum.update(tensor.numpy().tobytes())
    return {"directory": str(directory.resolve()), "settings": settings, "weights or text": checksum.hexdigest()}


def cache_directory() -> Path:
    """Where unfinished trainings wait."""
    path = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "blank-to-chat"
    path.mkdir(parents=True, exist_ok=True)
    return path


RECIPES = {
    "base": train_base, "mlm": train_mlm, "sft": train_sft, "reward": train_reward, "rlhf": train_rlhf,
    "rlhf_ptx": train_rlhf_ptx, "small_rlhf": train_small_rlhf,
}  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stages", nargs="+", choices=RECIPES, help="in this order: base first")
    parser.add_argument("--out", type=Path, default=checkpoints.SHIPPED, help="directory of the stages")
    arguments = parser.parse_args()
    try:
        for stage in arguments.stages:
            RECIPES[stage](arguments.out)
    except checkpoints.CheckpointError as problem:
        sys.exit(f"Stopped. {problem}")
