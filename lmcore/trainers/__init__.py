from lmcore.trainers.masked import MaskedLMConfig, MaskedLMTrainer
from lmcore.trainers.ppo import PPOConfig, PPOTrainer
from lmcore.trainers.pretrain import PretrainConfig, PretrainTrainer
from lmcore.trainers.sft import SFTConfig, SFTTrainer
from lmcore.trainers.trainer import Stopped, Trainer

__all__ = [
    "MaskedLMConfig",
    "MaskedLMTrainer",
    "PPOConfig",
    "PPOTrainer",
    "PretrainConfig",
    "PretrainTrainer",
    "SFTConfig",
    "SFTTrainer",
    "Stopped",
    "Trainer",
]
