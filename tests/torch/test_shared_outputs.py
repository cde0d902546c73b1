"""What a module gives is shared between runs of the closure, at the same gradients."""

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

import gamedyn as gd
from gamedyn.torch import GameOptimizer

METHODS = {
    "unrolled": gd.named("Unrolled", 0.2, steps=4),
    "both unrolled": gd.Method(gd.Simultaneous(0.2), gd.unrolled(3, 0.2, players=(0, 1))),
    "consensus": gd.named("Consensus", 0.2),
    "symplectic": gd.named("SymplecticAdjustment", 0.2),
    "consensus of unrolled": gd.Method(gd.Simultaneous(0.2), gd.consensus(0.4), gd.unrolled(2, 0.2)),
    "alternating": gd.named("AlternatingAdam", 0.05),
    "extragradient": gd.named("ExtraAdam", 0.05),
    "proximal": gd.named("LinearizedProximalPoint", 0.1),
}


class _Counted(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.inside, self.calls = inside, 0

    def forward(self, x):
        self.calls += 1
        return self.inside(x)


def _run(method, share, steps=3, nested=False):
    torch.manual_seed(0)
    G = _Counted(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))).double()
    D = _Counted(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))).double()
    real, noise = torch.randn(5, 2).double(), torch.randn(5, 2).double()
    opt = GameOptimizer([G.parameters(), D.parameters()], method)

    def closure():
        image = opt.once(G, noise) if share else G(noise)
        fake = opt.once(D, image) if share and nested else D(image)
        return softplus(-fake).mean(), softplus(-D(real)).mean() + softplus(fake).mean()

    for _ in range(steps):
        opt.step(closure)
    return torch.cat([p.detach().reshape(-1) for net in (G, D) for p in net.parameters()]), G.calls, opt


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_a_shared_output_changes_no_step(name, nested):
    plain, _, _ = _run(METHODS[name], share=False)
    shared, _, _ = _run(METHODS[name], share=True, nested=nested)
    assert (plain - shared).abs().max() < 1e-12


def test_unrolling_runs_a_shared_generator_once_per_step():
    _, calls, opt = _run(METHODS["unrolled"], share=True)
    assert calls == 3
    assert opt.passes.forward == 5
    _, calls, _ = _run(METHODS["unrolled"], share=False)
    assert calls == 3 * 5


def test_a_module_whose_parameters_move_is_run_again():
    _, calls, _ = _run(METHODS["extragradient"], share=True)
    assert calls == 3 * 2


def test_other_arguments_are_another_output():
    G, y = nn.Linear(1, 1), nn.Parameter(torch.ones(1, 1))
    opt = GameOptimizer([G.parameters(), [y]], gd.Simultaneous(0.1))
    a, b = torch.zeros(1, 1), torch.ones(1, 1)

    def closure():
        first, second = opt.once(G, a), opt.once(G, b)
        assert not torch.equal(first, second)
        assert opt.once(G, a) is first
        a.add_(1.0)  # written to in place: no longer what was seen
        assert torch.equal(opt.once(G, a), second)
        f = (second * y).sum()
        return f, -f

    opt.step(closure)


def test_outside_of_a_step_a_module_is_simply_called():
    G, y = _Counted(nn.Linear(1, 1)), nn.Parameter(torch.ones(1))
    opt = GameOptimizer([G.parameters(), [y]], gd.Simultaneous(0.1))
    x = torch.ones(1)
    assert torch.equal(opt.once(G, x), opt.once(G, x))
    assert G.calls == 2


def test_one_tensor_is_shared():
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    G, y = Pair(1, 1), nn.Parameter(torch.ones(1))
    opt = GameOptimizer([G.parameters(), [y]], gd.Simultaneous(0.1))
    x = torch.ones(1)
    with pytest.raises(TypeError, match="the module returned tuple"):
        opt.step(lambda: opt.once(G, x))
