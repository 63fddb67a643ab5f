"""What judges: the small world's judge and its verdicts."""

from lmcore.evaluation.judge import Judge, Verdict

__all__ = ["Judge", "Verdict"]
