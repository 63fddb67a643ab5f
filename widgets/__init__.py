"""What one sees and touches in the lessons. A widget's module is imported when its name is first used."""

from importlib import import_module

_MODULES = {
    "AttentionExplorer": "attention_explorer",
    "ChatBox": "chat_box",
    "FillInExplorer": "fill_in_explorer",
    "MemoryExplorer": "memory_explorer",
    "NextTokenExplorer": "next_token_explorer",
    "TokenExplorer": "token_explorer",
    "LiveTraining": "live_training",
    "Pipeline": "pipeline",
    "PreferenceLabeler": "preference_labeler",
    "RLHFCockpit": "rlhf_cockpit",
    "Scoreboard": "scoreboard",
    "Exercise": "exercise",
    "Quiz": "quiz",
    "COLOURS": "theme",
    "claim": "claims",
    "claims_table": "claims",
    "projector": "theme",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module 'widgets' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"widgets.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
