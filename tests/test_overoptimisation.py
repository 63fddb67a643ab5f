"""Curves of over-optimisation: their fits, what is compared, and a run in miniature."""

import json
import math
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, replace

import pytest
import torch

from benchmarks import curves, overoptimisation
from benchmarks.overoptimisation import Pool, Settings, by_best_of_n, change, first_layers, graded, standardised
from lmcore import checkpoints
from lmcore.evaluation.best_of_n import best_of_n_kl, expected_best_of_n
from lmcore.models import Transformer, TransformerConfig

D = [0.0, 0.3, 0.8, 1.3, 2.1, 3.4]
RUNS = {
    "best_of_n": lambda d: d * (0.7 - 0.2 * d),
    "ppo": lambda d: d * (0.7 - 0.2 * math.log(d)) if d else 0.0,
}


@pytest.mark.parametrize("method", RUNS)
def test_a_fit_finds_the_curve_and_where_it_turns(method):
    found = curves.fit(D, [RUNS[method](d) for d in D], method)
    assert (found.a, found.b, found.r2) == pytest.approx((0.7, 0.2, 1.0), abs=1e-9)
    assert [found(d) for d in D] == pytest.approx([RUNS[method](d) for d in D])
    before, peak, after = (found(found.peak * (1 + step)) for step in (-0.01, 0, 0.01))
    assert before < peak > after


@pytest.mark.parametrize("method", RUNS)
def test_a_fit_of_noisy_points_is_the_best_of_its_form(method):
    noise = 0.1 * torch.randn(len(D), generator=torch.Generator().manual_seed(0))
    gained = [RUNS[method](d) + e for d, e in zip(D, noise.tolist(), strict=True)]

    def error(fit: curves.Fit) -> float:
        return sum((fit(d) - y) ** 2 for d, y in zip(D[1:], gained[1:], strict=True))

    found = curves.fit(D, gained, method)
    others = [replace(found, a=found.a + da, b=found.b + db) for da in (-0.01, 0, 0.01) for db in (-0.01, 0, 0.01)]
    assert min(map(error, others)) == error(found) and 0.5 < found.r2 < 1


def test_a_curve_that_never_turns_and_too_few_points():
    assert curves.fit(D, D, "best_of_n").peak > 1e6
    assert curves.Fit("ppo", a=1.0, b=-0.1, r2=1.0).peak == math.inf
    with pytest.raises(ValueError, match="1 points beyond d = 0"):
        curves.fit([0, 1], [0, 1], "ppo")
    with pytest.raises(ValueError, match="no form for 'dpo'"):
        curves.fit(D, D, "dpo")


def test_best_of_n_is_measured_for_powers_of_two_on_one_pool():
    draw = torch.Generator().manual_seed(0)
    proxy, gold = torch.randn(2, 8, 16, generator=draw, dtype=torch.float64)
    found = by_best_of_n(proxy, gold)
    assert [point["n"] for point in found["points"]] == [1, 2, 4, 8, 16]
    assert found["points"][0] == {"n": 1, "d": 0.0} | {
        "proxy": pytest.approx(float(proxy.mean())), "gold": pytest.approx(float(gold.mean()))
    }  # fmt: skip
    best = proxy.argmax(dim=1, keepdim=True)  # of all 16
    last = {"proxy": float(proxy.gather(1, best).mean()), "gold": float(gold.gather(1, best).mean())}
    assert found["points"][-1] == pytest.approx({"n": 16, "d": best_of_n_kl(16) ** 0.5} | last)
    assert found["points"][2]["gold"] == pytest.approx(float(expected_best_of_n(proxy, gold, 4).mean()))
    d, golds = ([point[name] for point in found["points"]] for name in ("d", "gold"))
    fit, again = found["fit"], asdict(curves.fit(d, golds, "best_of_n"))
    assert fit.pop("method") == again.pop("method")
    assert fit == pytest.approx(again, rel=1e-12)  # least squares may round otherwise the second time


def test_a_loss_is_not_found_in_noise_and_is_found_where_it_is():
    noise = torch.randn(12, 400, generator=torch.Generator().manual_seed(0))
    flattering = float(noise[-1].mean() - noise.mean(dim=1).max())
    found = change(noise, noise)
    assert flattering < -0.05 and found["low"] < 0 < found["high"]
    turned = noise + torch.tensor([0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, -1.0])[:, None]
    assert change(turned, turned)["value"] == pytest.approx(-6, abs=0.3)
    assert change(turned, -turned)["value"] == 0  # from the last point to itself


def test_an_answer_said_twice_is_read_once_and_each_gets_its_own_reward():
    pool, asked = Pool(["a", "bb"], [["x", "yyy", "x"], ["yyy", "zz", ""]]), []

    def length(prompts, completions):
        asked.extend(zip(prompts, completions, strict=True))
        return torch.tensor([10.0 * len(p) + len(c) for p, c in zip(prompts, completions, strict=True)])

    assert graded(pool, length).tolist() == [[11, 13, 11], [23, 22, 20]]
    assert len(asked) == len(set(asked)) == 5
    reward, scores = standardised(pool, length)
    assert float(scores.mean()) == pytest.approx(0) and float(scores.std()) == pytest.approx(1)
    assert float(reward(["a"], ["x"])) == pytest.approx(float(scores[0, 0]))
    with pytest.raises(ValueError, match="all 6 answers get the same reward, 3"):
        standardised(pool, lambda prompts, completions: torch.full((len(prompts),), 3.0))


def test_a_proxy_starts_from_the_first_layers():
    model = Transformer(TransformerConfig(30, n_layer=3, n_head=2, n_kv_head=1, n_embd=8)).eval()
    shorter, ids = first_layers(model, 2), torch.tensor([[4, 7, 1]])
    model.blocks = model.blocks[:2]
    assert torch.equal(shorter(ids), model(ids)) and shorter.config.n_layer == 2
    with pytest.raises(ValueError, match="layers=4"):
        first_layers(Transformer(TransformerConfig(30, n_layer=3, n_head=2, n_kv_head=1, n_embd=8)), 4)


def cell(layers: int, labels: int, a: float, b: float) -> dict:
    found = {"layers": layers, "labels": labels}
    for method in curves.METHODS:
        fitted = curves.Fit(method, a, b, 1.0)
        points = [{"d": d, "proxy": d, "gold": fitted(d)} for d in D]
        found[method] = {"points": points, "fit": asdict(fitted)}
    return found


def test_does_more_help_counts_only_proxies_that_differ_in_one_thing():
    cells = [cell(1, 10, 0.5, 0.3), cell(2, 10, 0.5, 0.2), cell(1, 20, 0.5, 0.25), cell(2, 20, 0.5, 0.28)]
    cells.append(cell(4, 10, 0.5, 0.35))
    cells[3]["ppo"]["points"].pop()  # it came less far
    assert curves.does_more_help(cells, "best_of_n", "layers") == {
        "more gold at d = 3.4 (fit)": (1, 4), "more gold at its best": (1, 4), "smaller b": (1, 4)
    }  # fmt: skip
    found = curves.does_more_help(cells, "ppo", "labels")
    assert found["more gold at d = 2.1 (fit)"] == found["smaller b"] == (1, 2)


TINY = Settings(
    layers=(1, 2), labels=(20,), labelled_prompts=20, reward_steps=2, voting_prompts=12, held_out=6, answers=8,
    ppo_steps=3, ppo_prompts=16, ppo=replace(Settings().ppo, batch_size=8, learning_rate=1e-3),
)  # fmt: skip


@pytest.fixture
def one_thread():
    """Two threads may add in another order while other work runs beside them, and then PPO draws other answers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_run_in_miniature_goes_on_where_it_stopped_and_makes_table_and_picture(tmp_path, monkeypatch, one_thread):
    path = tmp_path / "results.json"
    whole = overoptimisation.measure(TINY, path)
    assert json.loads(path.read_text()) == whole
    assert [(found["layers"], found["labels"]) for found in whole["proxies"]] == [(1, 20), (2, 20)]
    for found in whole["proxies"]:
        assert [point["n"] for point in found["best_of_n"]["points"]] == [1, 2, 4, 8]
        start, *later = found["ppo"]["points"]
        assert start == {"step": 0, "d": 0, "proxy": pytest.approx(0, abs=1e-6), "gold": pytest.approx(0, abs=1e-6)}
        assert [point["step"] for point in later] == [2, 3] and later[-1]["d"] > 0
        assert [point["proxy"] for point in found["best_of_n"]["points"]] == sorted(
            point["proxy"] for point in found["best_of_n"]["points"]
        )

    overoptimisation.write(whole, path)
    table = path.with_suffix(".md").read_text()
    assert table.count("| 1 | 1.2 M | 20 |") == table.count("| 2 | 1.6 M | 20 |") == 2
    assert len(ElementTree.parse(path.with_suffix(".svg")).findall(".//{*}circle")) == 2 * (4 + 3)

    broken_off = json.loads(path.read_text())
    lost = broken_off["proxies"].pop(1)
    broken_off["proxies"][0]["accuracy"] = "kept"
    path.write_text(json.dumps(broken_off))
    resumed = overoptimisation.measure(TINY, path)
    assert resumed["proxies"][0]["accuracy"] == "kept"
    assert {**resumed["proxies"][1], "seconds": 0} == {**lost, "seconds": 0}

    monkeypatch.setattr(checkpoints, "load", None)  # all is there: nothing is loaded, nothing measured
    assert overoptimisation.measure(TINY, path) == resumed


def test_too_few_prompts_for_so_many_labels():
    with pytest.raises(ValueError, match="raise labelled_prompts"):
        overoptimisation.collect(checkpoints.load("sft"), replace(TINY, labels=(10_000,)))
