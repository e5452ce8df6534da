"""Every constructor parameter changes the result that it should change."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch
from sklearn.model_selection import ParameterGrid
from skorch.callbacks import Callback

from sklvm import VAE

from .models import OBJECTIVES, bits, frozen, quietly, standard_normal

X = standard_normal(90) * [3, 2, 1, 1]
GREY = np.random.default_rng(0).random((90, 4))
QUICK = {
    "hidden_layer_sizes": (8,),
    "max_epochs": 4,
    "batch_size": 30,
    "lr": 0.01,
    "random_state": 0,
}
LONG = {"max_epochs": 60, "noise": 1.0}


def fit(X=X, **params):
    return quietly(VAE(**(QUICK | params)).fit, X)


def weights(est):
    parameters = est.net_.module_.parameters()
    return np.concatenate([p.detach().numpy().ravel() for p in parameters])


def distance(one, two):
    return np.abs(weights(one) - weights(two)).max()


def all_different(results):
    pairs = [(a, b) for i, a in enumerate(results) for b in results[:i]]
    return not any(np.array_equal(a, b) for a, b in pairs)


def spread_of_latents(**params):
    return fit(**(LONG | params)).transform(X).std()


def spread_of_bounds(**params):
    return np.std(
        frozen(X, hidden_layer_sizes=(8,), max_epochs=50, **params).lower_bounds_
    )


def steps_of(**params):
    """The lengths of the steps of SGD with clipped gradients, one an epoch."""
    path = []

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            parameters = net.module_.parameters()
            path.append(
                np.concatenate([p.detach().numpy().ravel() for p in parameters])
            )

    params = {
        "optimizer": "sgd",
        "lr": 1.0,
        "max_grad_norm": 1e-3,
        "batch_size": 90,
        "noise": 0.1,
        "max_epochs": 10,
    } | params
    fit(callbacks=[Look()], **params)
    return np.linalg.norm(np.diff(np.array(path, dtype=float), axis=0), axis=1)


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


class CountingBatches(Callback):
    def __init__(self):
        self.seen = []

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        if training:
            self.seen.append(1)


def n_batches(**params):
    counter = CountingBatches()
    fit(callbacks=[counter], **params)
    return len(counter.seen)


# One check for each parameter.


def latent_dim():
    assert [fit(latent_dim=n).transform(X).shape[1] for n in (1, 3)] == [1, 3]


def likelihood():
    data = bits(90, n_features=4)
    gaussian, bernoulli = (fit(data, likelihood=n) for n in ("gaussian", "bernoulli"))
    # A mass is below one, a density need not be.
    assert (bernoulli.score_samples(data) < 0).all()
    assert set(np.unique(bernoulli.sample(50)[0])) == {0, 1}
    assert len(np.unique(gaussian.sample(50)[0])) > 2


def noise():
    assert fit(noise=0.5).noise_ == pytest.approx(0.5)
    assert abs(fit(noise="optimal").noise_ - 0.5) > 0.1
    assert fit(noise="learned").noise_ != fit(noise="optimal").noise_
    plain, wide = fit(), fit(noise="heteroscedastic")
    assert n_parameters(wide.net_.module_.decoder) > n_parameters(
        plain.net_.module_.decoder
    )


def binarize():
    params = {"likelihood": "bernoulli"}
    with pytest.warns(UserWarning):
        grey = fit(GREY, **params)
    fresh = fit(GREY, binarize="dynamic", **params)
    assert distance(grey, fresh) > 0
    assert abs(grey.score(GREY) - fresh.score(GREY)) > 1e-3


def objective():
    results = [weights(fit(objective=name, n_draws=4)) for name in OBJECTIVES]
    assert all_different(results)


def n_draws():
    one, many = (spread_of_bounds(n_draws=n, noise=1.0) for n in (1, 64))
    assert many < 0.3 * one


def n_score_draws():
    est = fit()
    exact = est.set_params(n_score_draws=2000).score_samples(X)
    one, many = (
        np.std(est.set_params(n_score_draws=n).score_samples(X) - exact)
        for n in (1, 64)
    )
    assert many < 0.5 * one


def beta():
    assert spread_of_latents(beta=20.0) < 0.8 * spread_of_latents(beta=0.1)


def warmup():
    first = [
        frozen(X, hidden_layer_sizes=(8,), max_epochs=10, warmup=w).lower_bounds_[0]
        for w in (0.0, 1.0)
    ]
    assert first[1] > first[0]


def free_bits():
    charged, free = (
        spread_of_latents(beta=100.0, free_bits=bits) for bits in (0.0, 5.0)
    )
    assert free > 2 * charged


def posterior():
    diag, full = (fit(latent_dim=3, posterior=p) for p in ("diag", "full"))
    last = [list(e.net_.module_.encoder.parameters())[-1] for e in (diag, full)]
    assert [len(bias) for bias in last] == [6, 9]


def prior():
    standard, vamp = (
        fit(max_epochs=30, prior=p).sample(500)[1] for p in ("standard", "vamp")
    )
    assert np.abs(standard.mean(axis=0)).max() < 0.25
    assert np.abs(standard.std(axis=0) - 1).max() < 0.2
    assert not np.allclose(standard, vamp)


def n_pseudo_inputs():
    few, many = (
        n_parameters(fit(prior="vamp", n_pseudo_inputs=n).net_.module_)
        for n in (10, 30)
    )
    # Each is a row of four numbers.
    assert many - few >= 20 * 4


def encoder():
    module = torch.nn.Linear(4, 4)
    est = fit(encoder=module)
    assert [tuple(p.shape) for p in est.net_.module_.encoder.parameters()] == [
        (4, 4),
        (4,),
    ]


def decoder():
    est = fit(decoder=torch.nn.Linear(2, 4, bias=False))
    assert n_parameters(est.net_.module_.decoder) == 8
    assert np.abs(est.inverse_transform(np.zeros((1, 2)))).max() < 1e-6


def hidden_layer_sizes():
    small, large = (fit(hidden_layer_sizes=sizes) for sizes in ((4,), (4, 6)))
    assert n_parameters(large.net_.module_) > n_parameters(small.net_.module_)


def activation():
    names = ("relu", "tanh", "silu", "elu")
    assert all_different([weights(fit(activation=name)) for name in names])


def max_epochs():
    assert [fit(max_epochs=n).n_iter_ for n in (2, 5)] == [2, 5]


def lr():
    start = fit(lr=1e-30)
    assert distance(fit(lr=1e-2), start) > 5 * distance(fit(lr=1e-3), start) > 0


def batch_size():
    assert [n_batches(batch_size=n) for n in (30, 90)] == [12, 4]


def optimizer():
    names = ("adam", "adamw", "sgd", torch.optim.RMSprop)
    assert all_different([weights(fit(optimizer=name)) for name in names])


def lr_schedule():
    constant, cosine = (steps_of(lr_schedule=s) for s in ("constant", "cosine"))
    assert constant.min() > 0.9 * constant.max()
    assert cosine.min() < 0.2 * cosine.max()


def max_grad_norm():
    small, large = (
        steps_of(max_grad_norm=n, lr_schedule="constant").mean() for n in (1e-4, 1e-3)
    )
    assert large / small == pytest.approx(10, rel=0.1)


def early_stopping():
    assert not hasattr(fit(), "best_epoch_")
    est = fit(early_stopping=True, tol=1e6, max_epochs=50, n_iter_no_change=2)
    assert est.n_iter_ < 50
    assert est.best_epoch_ <= est.n_iter_
    assert "valid_loss" in est.net_.history[-1]


def validation_fraction():
    params = {"early_stopping": True, "batch_size": 1, "max_epochs": 1}
    assert [n_batches(validation_fraction=f, **params) for f in (0.1, 0.5)] == [81, 45]


def n_iter_no_change():
    params = {"early_stopping": True, "tol": 1e6, "max_epochs": 50}
    few, many = (fit(n_iter_no_change=n, **params).n_iter_ for n in (2, 8))
    assert many - few == 6


def tol():
    # One step an epoch: ten are not enough, and F rises by nats.
    params = {"max_epochs": 10, "n_iter_no_change": 5, "lr": 0.1, "noise": 1.0}
    assert [fit(tol=tol, **params).converged_ for tol in (0.0, 1e6)] == [False, True]


def warm_start():
    cold, warm = (fit(warm_start=w) for w in (False, True))
    assert distance(cold, warm) == 0
    assert distance(quietly(cold.fit, X), fit()) == 0
    assert distance(quietly(warm.fit, X), fit()) > 0


def callbacks():
    assert n_batches(max_epochs=2) == 6


def device():
    assert fit(device="cpu").score(X) == fit().score(X)
    with pytest.raises((ValueError, RuntimeError), match="device"):
        fit(device="cuda:97")


def compile():
    calls = []

    def backend(graph, _):
        calls.append(graph)
        return graph

    fit(compile=False, net_params={"compile__backend": backend})
    assert not calls
    fit(compile=True, max_epochs=1, net_params={"compile__backend": backend})
    assert calls
    eager = fit(compile=True, max_epochs=1, net_params={"compile__backend": "eager"})
    assert distance(eager, fit(max_epochs=1)) < 1e-4


def net_params():
    decayed = fit(net_params={"optimizer__weight_decay": 10.0}, max_epochs=30)
    assert np.linalg.norm(weights(decayed)) < np.linalg.norm(
        weights(fit(max_epochs=30))
    )


def random_state():
    assert distance(fit(), fit()) == 0
    assert distance(fit(), fit(random_state=1)) > 0.1
    assert distance(fit(random_state=None), fit(random_state=None)) > 0.1


def verbose():
    outputs = []
    for level in (0, 1):
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            fit(verbose=level)
        outputs.append(err.getvalue())
    assert outputs[0] == ""
    assert "4/4" in outputs[1]


CHECKS = {
    check.__name__: check
    for check in (
        latent_dim,
        likelihood,
        noise,
        binarize,
        objective,
        n_draws,
        n_score_draws,
        beta,
        warmup,
        free_bits,
        posterior,
        prior,
        n_pseudo_inputs,
        encoder,
        decoder,
        hidden_layer_sizes,
        activation,
        max_epochs,
        lr,
        batch_size,
        optimizer,
        lr_schedule,
        max_grad_norm,
        early_stopping,
        validation_fraction,
        n_iter_no_change,
        tol,
        warm_start,
        callbacks,
        device,
        compile,
        net_params,
        random_state,
        verbose,
    )
}


def test_no_parameter_is_left_out():
    assert CHECKS.keys() == VAE().get_params().keys()


@pytest.mark.parametrize("name", CHECKS)
def test_the_parameter_changes_what_it_should(name):
    CHECKS[name]()


# Pairs of options that could undo one another.
PAIRS = list(
    ParameterGrid(
        {
            "objective": OBJECTIVES,
            "posterior": ["diag", "full"],
            "prior": ["standard", "vamp"],
        }
    )
)


@pytest.mark.parametrize("params", PAIRS, ids=lambda p: "-".join(p.values()))
def test_options_combine(params):
    """From any start, with any option, F rises."""
    first, last = (
        fit(n_draws=4, n_pseudo_inputs=10, max_epochs=n, **params).score(X)
        for n in (1, 30)
    )
    assert math.isfinite(first)
    assert last > first
