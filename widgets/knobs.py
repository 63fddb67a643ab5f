"""A knob: a number in a config that a learner may turn, within limits."""

import math
from dataclasses import dataclass, fields
from typing import Any

# Field -> what a learner may call it, and what it does.
WORDS = {
    "kl_coef": ("Leash", "what it costs to stray one nat from the start"),
    "learning_rate": ("Step size", "how far the weights move in one update"),
    "cliprange": ("Clip range", "how much likelier one step may make an answer before its gradient is cut"),
    "batch_size": ("Batch", "how many examples or answers one step learns from"),
    "temperature": ("Temperature", "how freely it tries things while it learns"),
    "response_length": ("Longest answer", "tokens an answer may have"),
    "num_ppo_epochs": ("Passes", "how often one batch is learnt from"),
    "missing_eos_penalty": ("Endless answers", "what is taken off for an answer that does not end"),
    "weight_decay": ("Weight decay", "how strongly weights are pulled towards zero"),
    "mask_rate": ("Hidden words", "the share of words that are hidden"),
}


@dataclass(frozen=True)
class Knob:
    """The field `name` of a config, from `low` to `high`; `log`: turned by factors; `integer`: whole numbers only."""

    name: str
    low: float
    high: float
    log: bool = False
    integer: bool = False
    start: float | None = None

    @classmethod
    def of(cls, config: Any, name: str, limits: tuple) -> "Knob":
        """The knob of a config's field, its range widened to where it stands. Raises: ValueError, a sentence."""
        kinds = {field.name: field.type for field in fields(config)}
        if name not in kinds:
            raise ValueError(f"{type(config).__name__} has no field {name!r} to turn. Fields: {', '.join(kinds)}.")
        start = getattr(config, name)
        if isinstance(start, bool) or not isinstance(start, (int, float)):
            raise ValueError(f"{name}={start!r} is not a number, so it cannot be a knob.")
        low, high, *scale = limits
        if scale not in ([], ["log"]) or not low < high or (scale and low <= 0):
            raise ValueError(f'The knob {name} needs (low, high) or (low > 0, high, "log"), not {limits!r}.')
        integer = kinds[name] in (int, "int")  # as the field is declared: 0 and 1 are numbers like others
        return cls(name, min(low, start), max(high, start), bool(scale) and start > 0, integer, start)

    def read(self, value: Any) -> float:
        """A number as typed or moved, as the config wants it. Raises: ValueError with a sentence."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, bool) or not self.low <= number <= self.high:  # not a number fails that too
            given = repr(value) if len(repr(value)) <= 30 else repr(value)[:30] + "…"
            limits = f"from {self.low:g} to {self.high:g}"
            raise ValueError(f"{self.name} takes a number {limits}, not {given}: left as it was.")
        return round(number) if self.integer else number

    def plan(self) -> dict[str, Any]:
        """What the page needs to draw it."""
        label, about = WORDS.get(self.name, (self.name.replace("_", " ").capitalize(), ""))
        limits = {"low": self.low, "high": self.high, "log": self.log, "integer": self.integer}
        return {"name": self.name, "label": label, "about": about, "value": self.start, **limits}
