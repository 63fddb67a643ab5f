"""What the benchmarks compute from what they measure; and that peers are what they are said to be."""

import json
import math
from dataclasses import replace

import pytest
import torch

from benchmarks import (
    alignment,
    costs,
    curves,
    first_step,
    generation,
    half_precision,
    keep,
    machine,
    report,
    speedrun,
    tax,
    training,
    trl_speed,
)
from benchmarks.peers import as_llama, gpt2
from benchmarks.training import Run
from lmcore import checkpoints
from lmcore.data.mixtures import as_tokens
from lmcore.evaluation.scores import bits_per_byte
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PPOConfig
from lmcore.trainers.muon import Muon


def run(curve: list[tuple[float, float]], budget: float = 10.0) -> Run:
    made = Run("made up", 1, lambda used: None, lambda: 0.0, budget)
    made.curve = curve
    return made


def test_time_to_a_loss_lies_on_the_line_between_two_looks():
    curve = [(10.0, 5.0), (20.0, 4.0), (30.0, 3.0)]
    assert run(curve).seconds_to(4.0) == 20.0
    assert run(curve).seconds_to(3.25) == pytest.approx(27.5)
    assert run(curve).seconds_to(6.0) == 10.0
    assert run(curve).seconds_to(2.9) is None


def test_a_run_trains_until_its_budget_is_used_up_and_is_validated_off_its_clock():
    seen = []
    made = Run("made up", 1, seen.append, lambda: 1.5, budget=0.05)
    training.take_turns(made)
    assert made.seconds >= 0.05 and made.steps == len(seen) and made.curve[-1] == (made.seconds, 1.5)
    assert seen == sorted(seen) and 0 <= seen[0] < seen[-1] < 1


def test_slope_of_a_power_law():
    assert costs.slope([(x, 3 * x**0.7) for x in (1.0, 4.0, 30.0)]) == pytest.approx(0.7, abs=1e-5)


def test_operations_are_those_of_the_matrices():
    config = TransformerConfig(vocab_size=50, n_layer=2, n_head=2, n_kv_head=2, n_embd=16)
    model = Transformer(config)
    matrices = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    found = costs.operations_per_token(config, model.num_parameters(), length=8)
    assert found == pytest.approx(6 * matrices + 12 * 2 * 16 * 8, rel=0.02)  # norms are next to nothing


def test_both_sides_of_a_size_have_about_the_same_number_of_parameters():
    for config, shape in training.SIZES.values():
        ours = Transformer(config).num_parameters()
        theirs = sum(p.numel() for p in gpt2(training.VOCABULARY, training.LENGTH, *shape).parameters())
        assert 1 <= ours / theirs < 1.06


def test_both_sides_write_the_same():
    model = Transformer(TransformerConfig(61, n_layer=2, n_embd=48))
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=draw)
    prompts = torch.randint(61, (3, 5), generator=draw)
    ours = generation.ours(model.eval(), prompts, new=9, temperature=0)
    assert torch.equal(ours, generation.theirs(as_llama(model), prompts, new=9, temperature=0))


def test_a_gpt2_step_and_one_of_ours_learn(tmp_path):
    tokens = torch.randint(7, 40, (5000,), generator=torch.Generator().manual_seed(0))
    config, shape = TransformerConfig(training.VOCABULARY, n_layer=1, n_head=2, n_kv_head=1, n_embd=16), (1, 2, 16)
    for made in (training.ours(config, tokens, tokens, 1e9), training.theirs(shape, tokens, tokens, 1e9, 3e-3)):
        before = made.validate()
        for _ in range(4):
            made.step(0.0)
        assert made.validate() < before < 1.05 * math.log(training.VOCABULARY), made.name


def test_the_table_of_alignment_shows_each_score_with_its_interval_and_each_duel():
    score = {"value": 0.25, "low": 0.125, "high": 0.5, "n": 10}
    duel = {"share": 0.75, "low": 0.5, "high": 1.0, "won": 1, "lost": 0, "tied": 1, "of_decided": 1.0, "possible": 0.8}
    results = {"scores": {"sft": dict.fromkeys(alignment.ROWS, score)}, "preferred": {"sft to base": duel}}
    made = alignment.table(results)
    assert "| instructions followed | 25% <sub>12% to 50%</sub> | up (fig. 4) |" in made
    assert "| bits per byte, human chat | 0.25 <sub>0.12 to 0.50</sub> | alignment tax |" in made
    assert "| sft to base | 75% (50% to 100%) | 100% | 80% |" in made


def test_what_text_mixed_in_wins_back_of_the_tax():
    def run(kl_coef, ptx_coef, bits):
        score = {"value": bits, "low": bits, "high": bits}
        return {"kl_coef": kl_coef, "ptx_coef": ptx_coef, "kl": 1.0, "scores": dict.fromkeys(tax.ROWS, score)}

    results = {"sft": run("", "", 1.5), "runs": [run(0.3, 0.0, 1.6), run(0.3, 0.5, 1.52), run(1.0, 0.0, 1.7)]}
    assert [round(tax.won_back(results, one, tax.ROWS[1]), 3) for one in results["runs"]] == [0.0, 0.8, -1.0]
    assert "| 0.3 | 0.5 | 1.0 | 1.52 <sub>1.52 to 1.52</sub> | 1.520 | 80% | 1.520 | 152% |" in tax.table(results)
    results["runs"][0] = run(0.3, 0.0, 1.4)  # no tax: nothing to win back
    assert tax.won_back(results, results["runs"][1], tax.ROWS[1]) is None
    assert len(set(tax.settings())) == len(tax.LEASHES) + len(tax.WEIGHTS)


def test_a_leash_and_a_weight_are_trained_with_as_they_are_given():
    sft, reward = checkpoints.load("sft"), checkpoints.load("reward")
    tokens = as_tokens(["Paris is the capital of France."] * 300, sft.tokenizer)
    config = PPOConfig(kl_coef=0.3, ptx_coef=2.0, batch_size=8, response_length=8)
    stage, kl = tax.trained(sft, reward, tokens, config, steps=2)
    plain, _ = tax.trained(sft, reward, tokens, replace(config, ptx_coef=0.0), steps=2)
    text = ["Paris is the capital of France."] * 4
    with_text, without = (bits_per_byte(one.model, text, sft.tokenizer).value for one in (stage, plain))
    assert abs(kl) < 5 and with_text < without


def test_the_table_beside_the_peers_is_made_of_the_numbers_that_were_measured():
    measured = json.loads(report.RESULTS.read_text())
    made = report.table(measured)
    assert made == report.RESULTS.with_suffix(".md").read_text()
    whole = measured["training"]["1 M"]["runs"]["lmcore"]
    assert f"{whole['tokens_per_second']:,}" in made


@pytest.mark.parametrize(
    "name, table",
    [
        ("alignment", alignment.table),
        ("first_step", first_step.table),
        ("half_precision", half_precision.table),
        ("overoptimisation", curves.table),
        ("speedrun", speedrun.table),
        ("tax", tax.table),
        ("trl", trl_speed.table),
    ],
)
def test_the_stored_tables_are_made_of_the_stored_numbers(name, table):
    path = report.RESULTS.with_name(f"{name}.json")
    assert table(json.loads(path.read_text())) == path.with_suffix(".md").read_text()


def test_results_are_kept_as_json_and_as_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(keep, "HERE", tmp_path)
    keep.keep("found", {"seconds": 2}, lambda results: f"| {results['seconds']} |\n")
    assert json.loads((tmp_path / "found.json").read_text()) == {"seconds": 2}
    assert (tmp_path / "found.md").read_text() == "| 2 |\n" and "| 2 |" in capsys.readouterr().out


def test_the_sides_of_the_half_precision_benchmark_are_what_they_are_called():
    for name, (torchs, half) in half_precision.SIDES.items():
        made = half_precision.trainer(torchs, half)
        kind = torch.optim.Muon if torchs else Muon
        assert type(made.optimizers[0]) is kind and made.config.bfloat16 == half, name
        assert made.optimizers[0].param_groups[0]["params"], name


def test_the_peak_memory_is_that_of_the_process_and_not_of_its_parent():
    held = torch.ones(100_000_000)  # 400 MB
    found = costs.in_a_new_process("import torch; from benchmarks.machine import peak; print(peak())")
    assert 50 < found < machine.peak() - held.nbytes / 2**20 / 2
