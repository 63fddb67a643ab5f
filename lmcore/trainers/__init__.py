from lmcore.trainers.dpo import DPOConfig, DPOTrainer
from lmcore.trainers.masked import MaskedLMConfig, MaskedLMTrainer
from lmcore.trainers.ppo import PPOConfig, PPOTrainer
from lmcore.trainers.pretrain import PretrainConfig, PretrainTrainer
from lmcore.trainers.reward import RewardConfig, RewardTrainer
from lmcore.trainers.sft import SFTConfig, SFTTrainer
from lmcore.trainers.trainer import Stopped, Trainer

__all__ = [
    "DPOConfig",
    "DPOTrainer",
    "MaskedLMConfig",
    "MaskedLMTrainer",
    "PPOConfig",
    "PPOTrainer",
    "PretrainConfig",
    "PretrainTrainer",
    "RewardConfig",
    "RewardTrainer",
    "SFTConfig",
    "SFTTrainer",
    "Stopped",
    "Trainer",
]
