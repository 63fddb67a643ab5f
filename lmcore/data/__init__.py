"""What is read: corpora, the almanac of facts, and the tokenizer. Each is loaded when it is first asked for."""

from importlib import import_module

__all__ = ["Tokenizer", "almanac", "byte_pairs", "corpus", "preferences", "tokenizer"]


def __getattr__(name: str):
    if name == "Tokenizer":
        return import_module("lmcore.data.tokenizer").Tokenizer
    if name in __all__:
        return import_module(f"lmcore.data.{name}")
    raise AttributeError(f"lmcore.data has no {name!r}")
