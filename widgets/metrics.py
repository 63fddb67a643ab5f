"""What the curves are called and how they are coloured."""

# Metric -> what it is, and its colour. A metric that is not here is drawn under its own name.
METRICS = {
    "objective/scores": ("reward (proxy)", "reward"),
    "objective/gold_score": ("true score", "gold"),
    "objective/kl": ("KL, nats an answer", "kl"),
    "objective/rlhf_reward": ("reward minus KL penalty", "rlhf"),
    "objective/entropy": ("entropy, nats an answer", "mlm"),
    "objective/kl_coef": ("KL coefficient", "base"),
    "val/response_length": ("tokens an answer", "sft"),
    "val/num_eos_tokens": ("answers that end", "base"),
    "loss": ("loss, nats a token", "rlhf"),
    "eval_loss": ("loss on unseen text", "gold"),
    "lr": ("learning rate", "base"),
    "grad_norm": ("length of the gradient", "mlm"),
    "objective/sqrt_kl": ("√KL", "kl"),
    "policy/entropy_avg": ("entropy, nats a token", "mlm"),
    "val/ratio": ("ratio, new over old", "rlhf"),
}
