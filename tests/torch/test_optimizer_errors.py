"""What is refused, and what the message says."""

import pytest
import torch
from torch import nn

import gamedyn as gd
from gamedyn.torch import GameOptimizer


def _pair():
    return [nn.Parameter(torch.tensor(v)) for v in (1.0, 2.0)]


def _optimizer():
    x, y = _pair()
    return GameOptimizer([[x], [y]], gd.Simultaneous(0.1)), x, y


def test_a_closure_that_calls_backward_is_refused():
    opt, x, y = _optimizer()

    def closure():
        f = x * y
        (2 * f).backward(retain_graph=True)
        return f, -f

    with pytest.raises(RuntimeError, match=r"has called backward\(\)"):
        opt.step(closure)
    for _ in range(2):  # with gradients that stand there already, too
        with pytest.raises(RuntimeError, match=r"has called backward\(\)"):
            opt.step(closure)
    opt.step(lambda: (x * y, -x * y))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x, y: (x * y,), "returned 1 costs for 2 players"),
        (lambda x, y: (x * y, y, x), "returned 3 costs for 2 players"),
        (lambda x, y: x * y, "one scalar for 2 players"),
        (lambda x, y: torch.stack([x, y]), r"a tensor of shape \(2,\)"),
        (lambda x, y: None, "returned None"),
        (lambda x, y: (x * y, torch.stack([y, y])), r"the cost of player 1 is a tensor of shape \(2,\)"),
        (lambda x, y: (1.0, x * y), "the cost of player 0 is 1.0"),
        (lambda x, y: (y * 2, -x * y), "the cost of player 0 does not depend on any of its parameters"),
        (lambda x, y: (x * y, torch.tensor(1.0)), "the cost of player 1 does not depend on any of its parameters"),
        (lambda x, y: (x * y, (y * x).detach()), "the cost of player 1 does not depend on any of its parameters"),
    ],
)
def test_wrong_costs_are_refused(answer, message):
    opt, x, y = _optimizer()
    with pytest.raises(ValueError, match=message):
        opt.step(lambda: answer(x, y))
    assert (x.item(), y.item()) == (1.0, 2.0)


def test_a_parameter_belongs_to_one_player_and_is_listed_once():
    x, y = _pair()
    with pytest.raises(ValueError, match="in the groups of player 0 and player 1"):
        GameOptimizer([[x, y], [y]], gd.Simultaneous(0.1))
    with pytest.raises(ValueError, match="group 1 lists a parameter twice"):
        GameOptimizer([[x], [y, y]], gd.Simultaneous(0.1))


def test_every_player_needs_something_to_move():
    x, y = _pair()
    with pytest.raises(ValueError, match="group 1 has 0 parameters"):
        GameOptimizer([[x], []], gd.Simultaneous(0.1))
    with pytest.raises(ValueError, match="none of them requires a gradient"):
        GameOptimizer([[x], [y.requires_grad_(False)]], gd.Simultaneous(0.1))
    with pytest.raises(ValueError, match="no players"):
        GameOptimizer([], gd.Simultaneous(0.1))


def test_groups_are_lists_of_leaves():
    x, y = _pair()
    with pytest.raises(TypeError, match="one group of parameters per player"):
        GameOptimizer([x, y], gd.Simultaneous(0.1))
    with pytest.raises(TypeError, match="no leaf tensors"):
        GameOptimizer([[x], [2 * y]], gd.Simultaneous(0.1))


def test_the_state_has_one_type():
    x, y = _pair()
    with pytest.raises(TypeError, match="float32 on cpu, float64 on cpu"):
        GameOptimizer([[x], [nn.Parameter(y.double())]], gd.Simultaneous(0.1))
    with pytest.raises(TypeError, match="must be real floating point"):
        GameOptimizer([[nn.Parameter(torch.ones(2, dtype=torch.complex64))]], gd.Simultaneous(0.1))


def test_sparse_parameters_are_refused():
    sparse = torch.ones(2, 2).to_sparse().requires_grad_()
    with pytest.raises(TypeError, match="sparse"):
        GameOptimizer([[sparse]], gd.Simultaneous(0.1))


def test_methods_need_numbers():
    import sympy as sp

    x, y = _pair()
    with pytest.raises(ValueError, match=r"has the symbols \['eta'\]"):
        GameOptimizer([[x], [y]], gd.Simultaneous(sp.Symbol("eta")))
    with pytest.raises(TypeError, match="is no rule"):
        GameOptimizer([[x], [y]], 0.1)
    with pytest.raises(ValueError, match="there is no method 'Adamm'"):
        GameOptimizer([[x], [y]], "Adamm")


def test_players_cannot_join_later():
    opt, _, _ = _optimizer()
    with pytest.raises(ValueError, match="cannot join a running game"):
        opt.add_param_group({"params": [nn.Parameter(torch.ones(1))]})


def test_switching_gradients_off_is_refused():
    opt, x, y = _optimizer()
    y.requires_grad_(False)
    with pytest.raises(ValueError, match="parameters of player 1 no longer require a gradient"):
        opt.step(lambda: (x * y, -x * y))


def test_an_answer_that_is_missing_where_it_is_needed_is_refused():
    opt, x, y = _optimizer()
    with pytest.raises(ValueError, match="the cost of player 1 is None"):
        opt.step(lambda: (x * y, None))
