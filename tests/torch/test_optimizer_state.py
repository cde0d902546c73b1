"""Checkpoints, step sizes per player, schedulers, and what happens around the parameters."""

import io

import pytest
import torch
from closure_games import Z0, as_closure, as_parameters, general_game, optimizer_on
from torch import nn

import gamedyn as gd
from gamedyn.torch import GameOptimizer

RESUMED = {
    "memory": gd.Optimistic(0.1),
    "adam": gd.named("ExtraAdam", 0.05),
    "alternating adam": gd.named("AlternatingAdam", 0.05),
    "velocity": gd.named("AlternatingHeavyBall", 0.1),
    "schedule": gd.scheduled(gd.Optimistic(0.1), "lr", lambda k: 0.1 / (1 + k)),
    "none": gd.Simultaneous(0.1),
}


def _saved(opt):
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_run_is_bit_for_bit_the_run_that_went_on(name):
    game = general_game()
    opt, closure, point = optimizer_on(game, RESUMED[name])
    for _ in range(4):
        opt.step(closure)
    state, z = _saved(opt), point()
    for _ in range(5):
        opt.step(closure)
    other, closure, resumed = optimizer_on(game, RESUMED[name], z.tolist())
    other.load_state_dict(state)
    for _ in range(5):
        other.step(closure)
    assert torch.equal(resumed(), point())
    assert other.steps_done == opt.steps_done == 9


def test_a_state_before_the_first_step_can_be_saved():
    opt, closure, point = optimizer_on(general_game(), gd.Optimistic(0.1))
    other, again, same = optimizer_on(general_game(), gd.Optimistic(0.1))
    other.load_state_dict(_saved(opt))
    opt.step(closure)
    other.step(again)
    assert torch.equal(point(), same())


def test_a_saved_state_does_not_move_with_the_run():
    opt, closure, _ = optimizer_on(general_game(), gd.Optimistic(0.1))
    opt.step(closure)
    state = opt.state_dict()
    before = [b.clone() for b in state["state"]["memory"][0]]
    for _ in range(5):
        opt.step(closure)
    assert all(torch.equal(a, b) for a, b in zip(before, state["state"]["memory"][0], strict=True))


def test_step_sizes_of_the_groups_are_saved():
    opt, _, _ = optimizer_on(general_game(), gd.Extragradient(0.1))
    opt.param_groups[1]["lr"] = 0.3
    other, _, _ = optimizer_on(general_game(), gd.Extragradient(0.1))
    other.load_state_dict(_saved(opt))
    assert [g["lr"] for g in other.param_groups] == [0.1, 0.3]


def test_states_of_another_method_size_or_optimizer_are_refused():
    game = general_game()
    opt, _, _ = optimizer_on(game, gd.Optimistic(0.1))
    other, _, _ = optimizer_on(game, gd.Optimistic(0.2))
    with pytest.raises(ValueError, match=r"is of the method Optimistic\(lr=0.2\), this optimizer has"):
        opt.load_state_dict(other.state_dict())
    x, y = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))
    small = GameOptimizer([[x], [y]], gd.Optimistic(0.1))
    with pytest.raises(ValueError, match=r"players with 3 \(in 1\) and 2 \(in 1\) parameters, these have 2 \(in 1\)"):
        opt.load_state_dict(small.state_dict())
    with pytest.raises(ValueError, match="no state of a GameOptimizer"):
        opt.load_state_dict(torch.optim.SGD([x], lr=0.1).state_dict())


# step sizes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Simultaneous", "Optimistic", "ExtraAdam", "ProximalPoint", "Consensus"])
def test_a_players_lr_scales_its_field_after_the_preconditioner(name):
    game, scales = general_game(), (0.5, 2.0)
    method = gd.named(name, 0.1)
    opt, closure, point = optimizer_on(game, method)
    for group, scale in zip(opt.param_groups, scales, strict=True):
        group["lr"] = 0.1 * scale
    parts = gd.Method(method)
    T = gd.StepMap(gd.Method(gd.per_player(parts.rule, scales), *parts.parts[1:]), game)
    s = T.start(point())
    for k in range(5):
        opt.step(closure)
        s = T(s, k)
    assert (point() - s[: game.dim]).abs().max() < 1e-11


def test_equal_lr_is_the_methods_own_step_size():
    game = general_game()
    opt, closure, point = optimizer_on(game, gd.Extragradient(0.1), lr=0.2)
    other, again, same = optimizer_on(game, gd.Extragradient(0.2))
    opt.step(closure)
    other.step(again)
    assert (point() - same()).abs().max() < 1e-15


def test_groups_may_come_with_their_lr():
    x, y = (nn.Parameter(torch.tensor(v)) for v in (1.0, 2.0))
    opt = GameOptimizer([{"params": [x], "lr": 0.2}, {"params": [y]}], gd.Simultaneous(0.1))
    opt.step(lambda: (x * y, -x * y))
    assert (x.item(), y.item()) == pytest.approx((0.6, 2.1))


def test_a_scheduler_of_torch_changes_the_step():
    x, y = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (1.0, 0.0))
    opt = GameOptimizer([[x], [y]], gd.Simultaneous(0.4))
    scheduler = torch.optim.lr_scheduler.StepLR(opt, step_size=1, gamma=0.5)
    expected_x, expected_y = 1.0, 0.0
    for k in range(4):
        lr = 0.4 * 0.5**k
        opt.step(lambda: (x * y, -x * y))
        expected_x, expected_y = expected_x - lr * expected_y, expected_y + lr * expected_x
        scheduler.step()
        assert (x.item(), y.item()) == pytest.approx((expected_x, expected_y), abs=1e-14)


def test_a_schedule_of_the_method_counts_the_steps():
    x, y = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (1.0, 0.0))
    opt = GameOptimizer([[x], [y]], gd.scheduled(gd.Simultaneous(1.0), "lr", lambda k: 1 / (k + 1)))
    for _ in range(3):
        opt.step(lambda: (x, -y))
    assert x.item() == pytest.approx(1 - (1 + 1 / 2 + 1 / 3))


# parameters --------------------------------------------------------------------------------------------------


def test_parameters_stay_the_same_objects_in_one_buffer():
    game = general_game()
    parameters = as_parameters(game, (0.1, 0.2, 0.3, 0.4))
    opt = GameOptimizer([[p] for p in parameters], gd.Extragradient(0.1))
    addresses = [p.data_ptr() for p in parameters]
    for _ in range(3):
        opt.step(as_closure(game, parameters))
    assert [p.data_ptr() for p in parameters] == addresses


def test_what_is_written_into_the_parameters_between_steps_counts():
    x, y = (nn.Parameter(torch.tensor(v)) for v in (1.0, 2.0))
    opt = GameOptimizer([[x], [y]], gd.Simultaneous(0.1))
    with torch.no_grad():
        x.fill_(3.0)
    y.data = torch.tensor(5.0)
    opt.step(lambda: (x * y, -x * y))
    assert (x.item(), y.item()) == pytest.approx((2.5, 5.3))


def test_modules_may_change_their_type_between_steps():
    G, D = nn.Linear(2, 2), nn.Linear(2, 1)
    data = torch.ones(3, 2)
    opt = GameOptimizer([G.parameters(), D.parameters()], gd.named("OptimisticAdam", 0.01))

    def closure():
        out = D(G(data.to(next(G.parameters())))).mean()
        return out, -out

    opt.step(closure)
    for net in (G, D):
        net.double()
    opt.step(closure)
    assert next(G.parameters()).dtype == torch.float64
    assert all(b.dtype == torch.float64 for b in opt.state_dict()["state"]["memory"][0])


def test_a_failing_closure_leaves_parameters_and_state_as_they_were():
    game = general_game()
    opt, closure, point = optimizer_on(game, gd.named("ExtraAdam", 0.1))
    opt.step(closure)
    before, state = point(), opt.state_dict()["state"]["memory"]
    runs = []

    def broken():
        runs.append(None)
        if len(runs) == 2:
            raise ZeroDivisionError
        return closure()

    with pytest.raises(ZeroDivisionError):
        opt.step(broken)
    assert torch.equal(point(), before)
    after = opt.state_dict()["state"]["memory"]
    assert all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
        for m, n in zip(state, after, strict=True)
        for a, b in zip(m, n, strict=True)
    )
    assert opt.steps_done == 1


def test_parameters_without_gradient_are_left_alone():
    net = nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    bias = net.bias.clone()
    y = nn.Parameter(torch.ones(()))
    opt = GameOptimizer([net.parameters(), [y]], gd.Simultaneous(0.1))
    opt.step(lambda: (net(torch.ones(2)).sum() * y, y**2))
    assert torch.equal(net.bias, bias)
    assert opt.players[0].size == 2


@pytest.mark.parametrize(
    "rule", [gd.averaged(gd.Extragradient(0.1)), gd.exponential_average(gd.HeavyBall(0.1, 0.5), 0.9)]
)
def test_the_reported_point_is_the_one_of_the_step_map_and_the_iterate_goes_on(rule):
    opt, closure, point = optimizer_on(general_game(), rule, Z0)
    T = gd.StepMap(rule, general_game())
    s = T.start(point())
    with opt.reported():
        assert point() == pytest.approx(T.point(s), abs=1e-12)
    for k in range(7):
        opt.step(closure)
        s = T(s, k)
    before = point()
    with opt.reported():
        assert point() == pytest.approx(T.point(s), abs=1e-12)
        assert (point() - before).abs().max() > 1e-3
    assert torch.equal(point(), before)
    opt.step(closure)
    assert point() == pytest.approx(T(s, 7)[: len(before)], abs=1e-12)


@pytest.mark.parametrize(
    "rule", [gd.Optimistic, gd.PastExtragradient, gd.EAGC, lambda lr: gd.alternating(gd.Optimistic(lr))]
)
def test_a_common_step_size_that_changes_is_that_of_a_schedule(rule):
    rates = (0.1, 0.1, 0.02, 0.02, 0.05)
    opt, closure, point = optimizer_on(general_game(), rule(0.1), Z0)
    start = point()
    for lr in rates:
        for group in opt.param_groups:
            group["lr"] = lr
        opt.step(closure)
    if rule is gd.EAGC:
        T = [gd.StepMap(gd.EAGC(lr), general_game()) for lr in rates]
        s = T[0].start(start)
        for k, step in enumerate(T):
            s = step(s, k)
    else:
        T = gd.StepMap(gd.scheduled(rule(0.1), "lr", rates), general_game())
        s = T.start(start)
        for k in range(len(rates)):
            s = T(s, k)
    assert point() == pytest.approx(s[: len(start)], abs=1e-12)


def test_an_optimistic_step_after_a_drop_of_the_rate_goes_downhill():
    x, y = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (1.0, 1.0))
    opt = GameOptimizer([[x], [y]], gd.Optimistic(0.1))
    schedule = torch.optim.lr_scheduler.StepLR(opt, step_size=3, gamma=0.1)
    seen = []
    for _ in range(5):
        opt.step(lambda: (x**2 / 2, y**2 / 2))
        schedule.step()
        seen.append(x.item())
    assert seen == sorted(seen, reverse=True)


def test_settings_that_no_player_has_are_refused():
    x, y = (nn.Parameter(torch.tensor(v)) for v in (1.0, 1.0))
    with pytest.raises(ValueError, match="weight_decay"):
        GameOptimizer([{"params": [x], "weight_decay": 0.1}, {"params": [y]}], gd.Simultaneous(0.1))
