"""Trained models as files: `checkpoints.load("sft")` gives a model, its tokenizer and its card.

A stage is two files in one directory, `sft.safetensors` (weights, half precision) and `sft.json` (kind, sizes, card,
checksum), beside the `tokenizer.json` that all stages of the directory share. A reward model's reader is another stage
of the same directory, and is not written twice.
"""

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from lmcore.data.tokenizer import Tokenizer
from lmcore.models import Recurrent, RecurrentConfig, RewardModel, Transformer, TransformerConfig

SHIPPED = Path(__file__).parent / "stages"
Model = Transformer | Recurrent | RewardModel
MADE_BY = {  # stage that comes with the course -> the module that trains it again
    **{name: f"lmcore.recipes {name}" for name in ("base", "mlm", "sft", "reward", "rlhf", "rlhf_ptx", "small_rlhf")},
    **dict.fromkeys(("rnn", "lstm", "gru"), "benchmarks.leaderboard --stages"),
}
CONFIGS = {"transformer": TransformerConfig, "recurrent": RecurrentConfig, "reward": TransformerConfig}


class CheckpointError(ValueError):
    """A stage is missing or damaged; the message names the file and how to restore it."""


@dataclass(frozen=True)
class Stage:
    """A trained model and what is known about it."""

    name: str
    model: Model
    tokenizer: Tokenizer
    card: dict[str, Any]  # how it was trained: data, seed, minutes, scores, unpicked samples


def available(directory: Path | str = SHIPPED) -> tuple[str, ...]:
    """Names of the stages in a directory."""
    return tuple(sorted(path.stem for path in Path(directory).glob("*.safetensors")))


def save(
    name: str,
    model: Model,
    tokenizer: Tokenizer,
    card: dict[str, Any],
    directory: Path | str = SHIPPED,
) -> Path:
    """Write a stage in half precision; a stage of that name is replaced only once the new one is complete.

    Raises: CheckpointError if another stage of the directory has another tokenizer, TypeError if the card does not fit
    into JSON; then nothing was written.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    known = _has_tokenizer(directory, tokenizer, name)
    reader = _stage_of(model.reader, directory) if getattr(model, "reader", None) is not None else None
    weights = {  # single numbers, such as a reward model's centre, stay exact
        key: (tensor.half() if tensor.dim() else tensor).contiguous() for key, tensor in _distinct(model).items()
    }
    path = directory / f"{name}.safetensors"
    data = safetensors.torch.save(weights)
    kind = {Transformer: "transformer", Recurrent: "recurrent", RewardModel: "reward"}[type(model)]
    about = {"kind": kind, "config": asdict(model.config), "sha256": hashlib.sha256(data).hexdigest(), "card": card}
    if reader is not None:
        about["reader"] = reader
    description = json.dumps(about, indent=1).encode()
    write_whole(data, path)
    if not known:  # between the two, so that `load` sees a wrong checksum if a kill parts it from the weights
        _write_tokenizer(directory, tokenizer)
    write_whole(description, path.with_suffix(".json"))
    return path


def save_tokenizer(directory: Path | str, tokenizer: Tokenizer) -> None:
    """Write the tokenizer.json that all stages of a directory share, unless it is this one already.

    Raises: CheckpointError if it is another one, and a stage there needs it.
    """
    if not _has_tokenizer(directory, tokenizer):
        _write_tokenizer(directory, tokenizer)


def write_whole(content: bytes | memoryview, path: Path) -> None:
    """Write a file so that a kill leaves the old one, or the new one, and never a half."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def save_whole(state: Any, path: Path) -> None:
    """torch.save by way of `write_whole`."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(buffer.getbuffer(), path)


def load(name: str, directory: Path | str = SHIPPED, device: str = "cpu") -> Stage:
    """Load a stage by name, in float32 and ready to use.

    Raises: CheckpointError if a file is missing, damaged, or does not fit its description.
    """
    directory = Path(directory)
    path, about_path = directory / f"{name}.safetensors", directory / f"{name}.json"
    for needed in (path, about_path, directory / "tokenizer.json"):
        if not needed.exists():
            known = ", ".join(available(directory)) or "none"
            raise CheckpointError(f"{needed} is missing (stages here: {known}). {_how_to_restore(name, directory)}")
    try:
        about = json.loads(about_path.read_text())
        kind = about.get("kind", "transformer")  # files older than the kinds do not say
        config, card = CONFIGS[kind](**about["config"]), dict(about["card"])
        reader = {key: about["reader"][key] for key in ("stage", "sha256")} if "reader" in about else None
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise CheckpointError(
            f"{about_path} is damaged ({type(error).__name__}: {error}). {_how_to_restore(name, directory)}"
        ) from error
    try:
        tokenizer = Tokenizer.load(directory / "tokenizer.json")
    except ValueError as error:  # it names the file
        raise CheckpointError(f"{error}. {_how_to_restore(name, directory)}") from error
    if config.vocab_size != tokenizer.vocab_size:
        raise CheckpointError(
            f"{directory / 'tokenizer.json'} has {tokenizer.vocab_size} tokens, and {path} was trained with "
            f"{config.vocab_size}: the two do not belong together. {_how_to_restore(name, directory)}"
        )
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != about.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its checksum is wrong. {_how_to_restore(name, directory)}")
    read_with = None if reader is None else _reader(reader, path, directory)
    try:
        model = _empty(kind, config, tokenizer, read_with)
        weights = {key: tensor.float() for key, tensor in safetensors.torch.load(data).items()}
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except (safetensors.SafetensorError, RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        raise CheckpointError(
            f"{path} does not fit its description ({error}). {_how_to_restore(name, directory)}"
        ) from error
    missing = set(missing) - (set(model.state_dict()) - set(_distinct(model)))
    if missing or unexpected:
        raise CheckpointError(
            f"{path} does not fit its description (missing {sorted(missing)}, unexpected {sorted(unexpected)}). "
            f"{_how_to_restore(name, directory)}"
        )
    return Stage(name, model.to(device).eval(), tokenizer, card)


def _empty(kind: str, config: Any, tokenizer: Tokenizer, reader: Transformer | None) -> Model:
    """A model of these sizes that has learnt nothing."""
    if kind == "recurrent":
        return Recurrent(config)
    trunk = Transformer(config)
    return RewardModel(trunk, tokenizer, reader=reader) if kind == "reward" else trunk


def _stage_of(reader: Transformer, directory: Path) -> dict[str, str]:
    """The stage in this directory that has the reader's weights: its name and checksum."""
    ours = {name: tensor.half() for name, tensor in _distinct(reader).items()}
    for name in available(directory):
        theirs = safetensors.torch.load_file(directory / f"{name}.safetensors")
        if theirs.keys() == ours.keys() and all(torch.equal(theirs[key], ours[key]) for key in ours):
            return {"stage": name, "sha256": _checksum(name, directory)}
    raise CheckpointError(f"the reward model's reader is no stage of {directory}: save that model there first")


def _reader(about: dict[str, str], path: Path, directory: Path) -> Transformer:
    """The language model that a reward model reads with."""
    reader = load(about["stage"], directory).model
    if _checksum(about["stage"], directory) != about["sha256"]:
        raise CheckpointError(
            f"{path} was trained with another {about['stage']}.safetensors: the two belong together. "
            f"{_how_to_restore(path.stem, directory)}"
        )
    return reader


def _checksum(name: str, directory: Path) -> str:
    """A stage's checksum, as its description says it; `load` compares it with the file."""
    return json.loads((directory / f"{name}.json").read_text())["sha256"]


def _has_tokenizer(directory: Path | str, tokenizer: Tokenizer, name: str = "") -> bool:
    """Whether the directory's tokenizer.json is this one; raises CheckpointError if it is another one that a stage
    needs, except `name`, which is about to be written."""
    path = Path(directory) / "tokenizer.json"
    try:
        found = Tokenizer.load(path)
    except (FileNotFoundError, ValueError):  # gone or damaged: nobody can read with it
        return False
    if found.as_json() == tokenizer.as_json():
        return True
    others = [stage for stage in available(directory) if stage != name]
    if others:
        raise CheckpointError(
            f"{path} is another tokenizer, and the stages here ({', '.join(others)}) need it: take another directory"
        )
    return False


def _write_tokenizer(directory: Path | str, tokenizer: Tokenizer) -> None:
    write_whole(tokenizer.as_json().encode(), Path(directory) / "tokenizer.json")


def _distinct(model: Model) -> dict[str, torch.Tensor]:
    """The model's own tensors, tied ones once."""
    network, before = (model.trunk, "trunk.") if isinstance(model, RewardModel) else (model, "")
    state = {key: tensor for key, tensor in model.state_dict().items() if not key.startswith("reader.")}
    if network.unembedding.weight is network.embedding.weight:
        del state[f"{before}unembedding.weight"]
    return state


def _how_to_restore(name: str, directory: Path) -> str:
    if directory != SHIPPED:
        return "Train or save it again"
    if name not in MADE_BY:
        return f"The course comes with {', '.join(MADE_BY)}"
    return f"Restore it with `git checkout -- lmcore/stages`, or train it again: `python -m {MADE_BY[name]}`"
