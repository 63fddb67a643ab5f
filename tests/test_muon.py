"""Muon takes torch's steps, computed in float32."""

import pytest
import torch

from lmcore.trainers.muon import Muon, orthogonalised

SHAPES = [(24, 24), (40, 16), (16, 40), (1, 8)]


def steps_of(optimizer_class, count: int = 6) -> list[torch.Tensor]:
    """Matrices of all shapes after some steps, with gradients that change; one of them has no gradient."""
    draw = torch.Generator().manual_seed(0)
    matrices = [torch.nn.Parameter(torch.randn(shape, generator=draw)) for shape in [*SHAPES, (3, 3)]]
    optimizer = optimizer_class(matrices, lr=0.02, weight_decay=0.1)
    for step in range(count):
        optimizer.param_groups[0]["lr"] = 0.02 / (step + 1)
        for matrix in matrices[:-1]:
            matrix.grad = torch.randn(matrix.shape, generator=draw) + matrix.detach()
        optimizer.step()
    return [matrix.detach() for matrix in matrices]


def test_it_takes_the_steps_of_torchs_muon(monkeypatch):
    ours = steps_of(Muon)
    for mine, theirs in zip(ours, steps_of(torch.optim.Muon), strict=True):
        torch.testing.assert_close(mine, theirs, atol=2e-3, rtol=0)  # torch rounds to bfloat16
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.float)  # and if it did not:
    for mine, theirs in zip(ours, steps_of(torch.optim.Muon), strict=True):
        torch.testing.assert_close(mine, theirs, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_directions_stay_and_singular_values_come_near_one(shape):
    draw = torch.Generator().manual_seed(1)
    u, s, v = torch.linalg.svd(torch.randn(shape, generator=draw), full_matrices=False)
    s = torch.linspace(1.0, 0.1, len(s))  # none so small that five steps are too few
    found = u.T @ orthogonalised(u @ s.diag() @ v) @ v.T
    assert (found - found.diag().diag()).abs().max() < 1e-5
    assert 0.65 < found.diag().min() and found.diag().max() < 1.25


def test_nothing_stays_nothing_and_only_matrices_are_taken():
    assert not orthogonalised(torch.zeros(3, 4)).any()
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        Muon([torch.nn.Parameter(torch.zeros(3))])


def test_a_closure_is_asked_and_its_loss_returned():
    matrix = torch.nn.Parameter(torch.eye(2))
    optimizer = Muon([matrix], lr=0.1)

    def closure():
        loss = (matrix**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2 and matrix.diagonal().max() < 1
