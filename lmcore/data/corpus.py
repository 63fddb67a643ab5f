"""What the models of the course read, as `datasets.Dataset`: human chat, or any text that the library can load."""

import glob
import hashlib
import http.client
import re
import threading
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDataset

EMBEDDED = ("corpus.chitchat()", "corpus.turn_pairs(split)", "almanac.documents(seed)")
SPLITS = ("train", "validation", "test")
BUILDERS = {".txt": "text", ".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}


class CorpusError(ValueError):
    """A corpus cannot be read; the message says why and what to do."""


def chitchat() -> "DatasetDict":
    """Conversations between people (chitchat-dataset, MIT), cleaned and split for good: train, validation, test.

    One row a conversation: conversation_id; messages, [{"role", "content"}] with user and assistant in turn; text,
    one line a turn without names; witty, interesting, upbeat, 1 to 10 or None.
    Raises: CorpusError if the package is missing or damaged.
    """
    from datasets import DatasetDict

    return DatasetDict(_splits())


def turn_pairs(split: str) -> "Dataset":
    """Single exchanges out of `chitchat()[split]` for fine-tuning: rows {"messages": [user, assistant]}.

    Raises: CorpusError for an unknown split.
    """
    from datasets import Dataset

    from lmcore.data.chitchat import exchanges

    if split not in SPLITS:
        raise CorpusError(f"there is no split {split!r}: the splits are {', '.join(SPLITS)}")
    conversations = chitchat()[split]["messages"]
    return Dataset.from_list([{"messages": pair} for messages in conversations for pair in exchanges(messages)])


def load(
    path_or_hub_id: str | Path,
    column: str = "text",
    streaming: bool = False,
    *,
    name: str | None = None,
    split: str = "train",
) -> "Dataset | IterableDataset":
    """Any text as a dataset with one column, "text": a file, a folder of one kind of files, or a hub dataset.

    Files are .txt (cut at blank lines, or at every line if there are none), .csv, .json, .jsonl or .parquet.
    Rows without text are left out. Args: column: where the text is; streaming: read while iterating, for what does
    not fit on the disk; name, split: which part of a hub dataset, as in `datasets.load_dataset`.
    Raises: CorpusError, a sentence that says what is wrong and what to do.
    """
    if not str(path_or_hub_id).strip():
        raise CorpusError("an empty name says nothing of what to load: name a file, a folder or a hub dataset")
    try:
        path = Path(path_or_hub_id).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "nobody here has that home directory"
        given = str(path_or_hub_id)
        shown = given if len(given) <= 60 else f"{given[:60]}..."
        raise CorpusError(f"{shown!r} cannot be found ({reason}): name a file, a folder or a hub dataset") from error
    if exists:
        dataset = _from_files(path, streaming)
    elif _could_be_hub_id(str(path_or_hub_id)):
        dataset = _from_hub(str(path_or_hub_id), name, split, streaming)
    else:
        raise CorpusError(f"there is no file or folder {path_or_hub_id} (looked in {Path.cwd()})")
    return _only_text(dataset, path_or_hub_id, column)


@cache
def _splits() -> dict[str, "Dataset"]:
    from datasets import Dataset, Features, List, Value

    from lmcore.data import chitchat

    rows = {split: [] for split in SPLITS}
    try:
        for row in chitchat.conversations():
            rows[_split_of(row["conversation_id"])].append(row)
    except ModuleNotFoundError as error:
        raise CorpusError(f"{error.name} is missing: pip install chitchat-dataset") from error
    except (OSError, ValueError) as error:
        repair = "pip install --force-reinstall chitchat-dataset"
        raise CorpusError(f"the file of chitchat-dataset is damaged ({error}): {repair}") from error
    message = {"role": Value("string"), "content": Value("string")}
    columns = {"conversation_id": Value("string"), "messages": List(message), "text": Value("string")}
    features = Features(columns | {rating: Value("int64") for rating in chitchat.RATINGS})
    return {split: Dataset.from_list(rows[split], features=features) for split in SPLITS}


def _split_of(conversation_id: str) -> str:
    """90 % train, 5 % validation, 5 % test, by a hash: it stays there, whatever else is cleaned away."""
    place = int(hashlib.sha256(conversation_id.encode()).hexdigest(), 16) % 100
    return "train" if place < 90 else "validation" if place < 95 else "test"


def _is_hidden(file: Path, inside: Path) -> bool:
    """Whether the file, or a folder on the way to it, begins with a dot, as JupyterLab's copies of saved files do."""
    return any(part.startswith(".") for part in file.relative_to(inside).parts)


def _from_files(path: Path, streaming: bool) -> "Dataset | IterableDataset":
    import datasets

    inside = path.rglob("*") if path.is_dir() else [path]
    named = sorted(file for file in inside if file.suffix.lower() in BUILDERS and not _is_hidden(file, path))
    files = [file for file in named if file.is_file()]  # no folder, and no link to what is gone
    if not files:
        raise CorpusError(f"{path}: no file here that can be read; those are {', '.join(BUILDERS)}")
    kinds = sorted({BUILDERS[file.suffix.lower()] for file in files})
    if len(kinds) > 1:
        raise CorpusError(f"{path} holds several kinds of files ({', '.join(kinds)}): name one, or sort them")
    files = [file for file in files if file.stat().st_size]
    if not files:
        raise CorpusError(f"{path} is empty")
    options = {"data_files": [glob.escape(str(file.absolute())) for file in files]}
    try:
        if kinds == ["text"]:
            with files[0].open("rb") as file:
                beginning = file.read(1 << 20)
            options["sample_by"] = "paragraph" if re.search(rb"\S\s*\n\s*\n\s*\S", beginning) else "line"
        dataset = datasets.load_dataset(kinds[0], split="train", streaming=streaming, **options)
    except Exception as error:  # the library raises many kinds
        raise _unreadable(path, error) from error
    return dataset.map(_without_line_ends) if kinds == ["text"] else dataset


def _could_be_hub_id(text: str) -> bool:
    looks_like_one = re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", text)
    return bool(looks_like_one) and Path(text).suffix.lower() not in BUILDERS


def _from_hub(hub_id: str, name: str | None, split: str, streaming: bool) -> "Dataset | IterableDataset":
    import datasets
    from huggingface_hub import constants

    # Asked first, because the library would try for half a minute. Offline by choice, it looks into its cache.
    if constants.HF_HUB_OFFLINE or _answers(constants.ENDPOINT):
        try:
            return datasets.load_dataset(hub_id, name=name, split=split, streaming=streaming)
        except ConnectionError:
            pass
        except Exception as error:  # the library raises many kinds
            raise _unreadable(hub_id, error) from error
    raise CorpusError(
        f"there is no file or folder {hub_id!r}, and the hub that may have a dataset of this name cannot be reached "
        f"({constants.ENDPOINT}). Without a network there are {', '.join(EMBEDDED)}, and any file of yours."
    )


def _answers(address: str, seconds: float = 5) -> bool:
    answered = []

    def ask():
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds).close()
            answered.append(True)
        except urllib.error.HTTPError:
            answered.append(True)  # a refusal is an answer
        except (OSError, http.client.HTTPException):
            pass

    # In a thread, because neither looking up a name nor an answer in small pieces has a timeout.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return bool(answered)


def _unreadable(source: str | Path, error: Exception) -> CorpusError:
    cause = error.__cause__ or error
    reason = str(cause).strip().splitlines()
    if reason and "corresponds to no data" in reason[0]:
        return CorpusError(f"{source} is empty: it has no rows")
    return CorpusError(f"{source} cannot be read: {reason[0] if reason else type(cause).__name__}")


def _only_text(dataset: "Dataset | IterableDataset", source: str | Path, column: str) -> "Dataset | IterableDataset":
    try:
        first = next(iter(dataset), None)
    except Exception as error:  # a stream is only read here
        raise _unreadable(source, error) from error
    if first is None:
        raise CorpusError(f"{source} is empty: it has no rows")
    if column not in first:
        names = ", ".join(map(repr, first))
        raise CorpusError(f"{source} has no column {column!r}, it has {names}: load(..., column=...) takes another")
    texts = dataset.select_columns([column])
    texts = texts if column == "text" else texts.rename_column(column, "text")
    value = next((row["text"] for row in texts if row["text"] is not None), "")
    if not isinstance(value, str):
        kind = type(value).__name__
        raise CorpusError(f"the column {column!r} of {source} holds no text but {kind}: {str(value)[:60]}")
    texts = texts.filter(_has_text, input_columns="text")
    if next(iter(texts), None) is None:
        raise CorpusError(f"{source} is empty: no row of its column {column!r} has any text")
    return texts


def _without_line_ends(row: dict[str, str]) -> dict[str, str]:
    return {"text": row["text"].strip("\r\n")}  # the library leaves those around a paragraph


def _has_text(text: str | None) -> bool:
    return bool(text and text.strip())
