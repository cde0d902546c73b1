"""The arithmetic of a step traces without a graph break and gives the same numbers."""

import pytest
import torch
from closure_games import Z0, general_game, optimizer_on

import gamedyn as gd
from gamedyn.torch import compiled

METHODS = {
    "adam": gd.named("ExtraAdam", 0.1),
    "optimistic adam": gd.named("OptimisticAdam", 0.1),
    "rmsprop": gd.named("AlternatingRMSProp", 0.1),
    "unrolled": gd.named("Unrolled", 0.1, steps=2),
    "consensus": gd.named("Consensus", 0.1),
    "proximal": gd.named("ProximalPoint", 0.1),
    "schedule": gd.scheduled(gd.Optimistic(0.1), "lr", lambda k: 0.1 / (1 + k)),
    "frozen": gd.Method(gd.Simultaneous(0.1), gd.frozen((0.5, 1.0, 2.0, 3.0))),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_compiled_step_is_the_same_step(name):
    plain, closure, point = optimizer_on(general_game(), METHODS[name])
    traced, again, same = optimizer_on(general_game(), METHODS[name], compile=True, backend="eager")
    for _ in range(4):
        plain.step(closure)
        traced.step(again)
        assert (point() - same()).abs().max() < 1e-13


def test_every_segment_is_one_graph_and_is_compiled_once(monkeypatch):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    compile_ = torch.compile
    options = []

    def recorded(fn, **given):
        options.append(given)
        return compile_(fn, **given)

    monkeypatch.setattr(compiled.torch, "compile", recorded)
    opt, closure, _ = optimizer_on(general_game(), gd.named("ExtraAdam", 0.1), Z0, compile=True, backend=backend)
    opt.step(closure)
    opt.step(closure)
    count = len(graphs)
    assert options
    assert all(o["fullgraph"] for o in options)
    assert count == len(options)  # no segment falls into two graphs
    for group in opt.param_groups:
        group["lr"] = 0.1
    for _ in range(4):  # counts of evaluations and coefficients are arguments, so nothing is compiled again
        opt.step(closure)
    assert len(graphs) == count
