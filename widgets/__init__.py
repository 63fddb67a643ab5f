"""What one sees and touches in the lessons. A widget's module is imported when its name is first used."""

from importlib import import_module

_MODULES = {
    "AttentionExplorer": "attention_explorer",
    "FillInExplorer": "fill_in_explorer",
    "LiveTraining": "live_training",
    "RLHFCockpit": "rlhf_cockpit",
    "Exercise": "exercise",
    "Quiz": "quiz",
    "COLOURS": "theme",
    "projector": "theme",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module 'widgets' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"widgets.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
