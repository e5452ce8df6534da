"""One check for each parameter that the autoencoders share: it changes what it should.

Every check takes a `Subject`; its name is that of the parameter.
"""

import contextlib
import io
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from .models import OBJECTIVES, frozen, quietly, standard_normal

X = standard_normal(90) * [3, 2, 1, 1]
QUICK = {
    "latent_dim": 2,
    "hidden_layer_sizes": (8,),
    "max_epochs": 4,
    "batch_size": 30,
    "lr": 0.01,
    "random_state": 0,
}


@dataclass(frozen=True)
class Subject:
    """An estimator, its data (90 rows) and the widths of its networks."""

    estimator: type
    data: tuple = (X,)
    params: dict[str, Any] = field(default_factory=dict)
    encoder_inputs: int = 4
    decoder_inputs: int = 2
    outputs: int = 4
    # Those whose estimates differ.
    objectives: tuple = tuple(OBJECTIVES)

    def make(self, **params):
        return self.estimator(**(QUICK | self.params | params))

    def fit(self, *data, **params):
        return quietly(self.make(**params).fit, *(data or self.data))

    def frozen(self, **params):
        """A fit whose networks do not move, one step an epoch."""
        params = {"hidden_layer_sizes": (8,)} | self.params | params
        rows, *y = self.data
        y = y[0] if y else None
        return frozen(rows, y=y, estimator=self.estimator, **params)

    def bounds(self, **params):
        return self.frozen(**params).lower_bounds_

    def score_samples(self, est):
        return est.score_samples(*self.data)


def weights(est):
    parameters = est.net_.module_.parameters()
    return np.concatenate([p.detach().numpy().ravel() for p in parameters])


def distance(one, two):
    return np.abs(weights(one) - weights(two)).max()


def all_different(results):
    pairs = [(a, b) for i, a in enumerate(results) for b in results[:i]]
    return not any(np.array_equal(a, b) for a, b in pairs)


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


class CountingBatches(Callback):
    def __init__(self):
        self.seen = []

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        if training:
            self.seen.append(1)


def n_batches(subject, **params):
    counter = CountingBatches()
    subject.fit(callbacks=[counter], **params)
    return len(counter.seen)


def steps_of(subject, **params):
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
    subject.fit(callbacks=[Look()], **params)
    return np.linalg.norm(np.diff(np.array(path, dtype=float), axis=0), axis=1)


# The model.


def latent_dim(subject):
    widths = [
        subject.fit(latent_dim=n).transform(subject.data[0]).shape[1] for n in (1, 3)
    ]
    assert widths == [1, 3]


def noise(subject):
    assert subject.fit(noise=0.5).noise_ == pytest.approx(0.5)
    optimal, learned = (subject.fit(noise=n).noise_ for n in ("optimal", "learned"))
    assert np.shape(optimal) == np.shape(learned) == (len(optimal),)
    assert np.abs(optimal - 0.5).max() > 0.1
    assert not np.array_equal(learned, optimal)
    numbers = 0.5 + np.arange(len(optimal))
    assert np.allclose(subject.fit(noise=numbers).noise_, numbers)
    assert isinstance(subject.fit(noise="shared").noise_, float)
    plain, wide = (subject.fit(noise=n) for n in ("optimal", "heteroscedastic"))
    assert n_parameters(wide.net_.module_.decoder) > n_parameters(
        plain.net_.module_.decoder
    )


def min_noise(subject):
    """In deviations of each column."""
    one, ten = (subject.fit(min_noise=n).noise_ for n in (1.0, 10.0))
    assert np.allclose(ten, 10 * subject.data[-1].std(axis=0), rtol=1e-4)
    assert (one < ten).all()


def objective(subject):
    names = subject.objectives
    results = [weights(subject.fit(objective=name, n_draws=4)) for name in names]
    assert all_different(results)


def n_draws(subject):
    one, many = (
        np.std(subject.bounds(n_draws=n, noise=0.3, max_epochs=50, objective="kl"))
        for n in (1, 64)
    )
    assert many < 0.3 * one


def n_score_draws(subject):
    """The bound rises with the number of draws towards log p(x).

    Under an encoder that is far from the posterior, as it is hardly trained.
    """
    encoder = torch.nn.Linear(subject.encoder_inputs, 4)
    est = subject.fit(encoder=encoder, n_score_steps=0)
    one, some, many = (
        subject.score_samples(est.set_params(n_score_draws=n)).mean()
        for n in (1, 16, 2000)
    )
    assert one < some < many


def n_score_steps(subject):
    """They make up for an encoder that is hardly trained."""
    est = subject.fit(encoder=torch.nn.Linear(subject.encoder_inputs, 4))
    none, some = (
        subject.score_samples(est.set_params(n_score_steps=n)).mean() for n in (0, 8)
    )
    assert none + 0.1 < some


def beta(subject):
    """The objective falls by a KL for each unit of beta."""
    none, one, four = (subject.bounds(beta=b, noise=0.3)[0] for b in (0.0, 1.0, 4.0))
    assert none - one > 0.1
    assert none - four == pytest.approx(4 * (none - one), rel=0.01)


def warmup(subject):
    first = [subject.bounds(max_epochs=10, warmup=w)[0] for w in (0.0, 1.0)]
    assert first[1] > first[0]


def free_bits(subject):
    charged, free = (subject.bounds(free_bits=b, noise=1.0)[0] for b in (0.0, 1000.0))
    assert charged - free == pytest.approx(1000, rel=0.1)


def posterior(subject):
    diag, full = (subject.fit(latent_dim=3, posterior=p) for p in ("diag", "full"))
    last = [list(e.net_.module_.encoder.parameters())[-1] for e in (diag, full)]
    assert [len(bias) for bias in last] == [6, 9]


# The networks.


def encoder(subject):
    est = subject.fit(encoder=torch.nn.Linear(subject.encoder_inputs, 4))
    assert [tuple(p.shape) for p in est.net_.module_.encoder.parameters()] == [
        (4, subject.encoder_inputs),
        (4,),
    ]


def decoder(subject):
    module = torch.nn.Linear(subject.decoder_inputs, subject.outputs, bias=False)
    est = subject.fit(decoder=module)
    size = subject.decoder_inputs * subject.outputs
    assert n_parameters(est.net_.module_.decoder) == size


def hidden_layer_sizes(subject):
    small, large = (subject.fit(hidden_layer_sizes=sizes) for sizes in ((4,), (4, 6)))
    assert n_parameters(large.net_.module_) > n_parameters(small.net_.module_)


def activation(subject):
    names = ("relu", "tanh", "silu", "elu")
    assert all_different([weights(subject.fit(activation=name)) for name in names])


# The training.


def max_epochs(subject):
    assert [subject.fit(max_epochs=n).n_iter_ for n in (2, 5)] == [2, 5]


def lr(subject):
    start, slow, fast = (subject.fit(lr=rate) for rate in (1e-30, 1e-3, 1e-2))
    assert distance(fast, start) > 5 * distance(slow, start) > 0


def batch_size(subject):
    assert [n_batches(subject, batch_size=n) for n in (30, 90)] == [12, 4]


def optimizer(subject):
    names = ("adam", "adamw", "sgd", torch.optim.RMSprop)
    assert all_different([weights(subject.fit(optimizer=name)) for name in names])


def lr_schedule(subject):
    constant, cosine = (
        steps_of(subject, lr_schedule=schedule) for schedule in ("constant", "cosine")
    )
    assert constant.min() > 0.9 * constant.max()
    assert cosine.min() < 0.2 * cosine.max()


def max_grad_norm(subject):
    small, large = (
        steps_of(subject, max_grad_norm=n, lr_schedule="constant").mean()
        for n in (1e-4, 1e-3)
    )
    assert large / small == pytest.approx(10, rel=0.1)


def early_stopping(subject):
    assert not hasattr(subject.fit(), "best_epoch_")
    params = {"tol": 1e6, "max_epochs": 50, "n_iter_no_change": 2}
    est = subject.fit(early_stopping=True, **params)
    assert est.n_iter_ < 50
    assert est.best_epoch_ <= est.n_iter_
    assert "valid_loss" in est.net_.history[-1]


def validation_fraction(subject):
    params = {"early_stopping": True, "batch_size": 1, "max_epochs": 1}
    counts = [n_batches(subject, validation_fraction=f, **params) for f in (0.1, 0.5)]
    assert counts == [81, 45]


def n_iter_no_change(subject):
    params = {"early_stopping": True, "tol": 1e6, "max_epochs": 50}
    few, many = (subject.fit(n_iter_no_change=n, **params).n_iter_ for n in (2, 8))
    assert many - few == 6


def tol(subject):
    # One step an epoch: ten are not enough, and F rises by nats.
    params = {"max_epochs": 10, "n_iter_no_change": 5, "lr": 0.1, "noise": 1.0}
    fits = [subject.fit(tol=tol, **params).converged_ for tol in (0.0, 1e6)]
    assert fits == [False, True]


def warm_start(subject):
    cold, warm = (subject.fit(warm_start=w) for w in (False, True))
    assert distance(cold, warm) == 0
    assert distance(quietly(cold.fit, *subject.data), subject.fit()) == 0
    assert distance(quietly(warm.fit, *subject.data), subject.fit()) > 0


def callbacks(subject):
    assert n_batches(subject, max_epochs=2) == 6


def checkpoint(subject):
    """It changes nothing but what a killed fit leaves; see tests/state."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        assert distance(subject.fit(checkpoint=path), subject.fit()) == 0
        assert not path.exists()
        with pytest.raises(OSError, match="nowhere"):
            subject.fit(checkpoint=path / "nowhere")


def device(subject):
    one, two = (
        subject.score_samples(subject.fit(**p)) for p in ({"device": "cpu"}, {})
    )
    assert np.array_equal(one, two)
    with pytest.raises((ValueError, RuntimeError), match="device"):
        subject.fit(device="cuda:97")


def compile(subject):
    calls = []

    def backend(graph, _):
        calls.append(graph)
        return graph

    subject.fit(compile=False, net_params={"compile__backend": backend})
    assert not calls
    params = {"compile": True, "max_epochs": 1}
    subject.fit(net_params={"compile__backend": backend}, **params)
    assert calls
    eager = subject.fit(net_params={"compile__backend": "eager"}, **params)
    assert distance(eager, subject.fit(max_epochs=1)) < 1e-4


def net_params(subject):
    decayed = {"optimizer__weight_decay": 10.0}
    small, large = (
        np.linalg.norm(weights(subject.fit(net_params=p, max_epochs=30)))
        for p in (decayed, None)
    )
    assert small < large


def random_state(subject):
    assert distance(subject.fit(), subject.fit()) == 0
    assert distance(subject.fit(), subject.fit(random_state=1)) > 0.1
    one, two = (subject.fit(random_state=None) for _ in range(2))
    assert distance(one, two) > 0.1


def verbose(subject):
    outputs = []
    for level in (0, 1):
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            subject.fit(verbose=level)
        outputs.append(err.getvalue())
    assert outputs[0] == ""
    assert "4/4" in outputs[1]


SHARED = (
    *(
        latent_dim,
        noise,
        min_noise,
        objective,
        n_draws,
        n_score_draws,
        n_score_steps,
        beta,
        warmup,
        free_bits,
    ),
    *(posterior, encoder, decoder, hidden_layer_sizes, activation, max_epochs, lr),
    *(batch_size, optimizer, lr_schedule, max_grad_norm, early_stopping),
    *(validation_fraction, n_iter_no_change, tol, warm_start, callbacks, device),
    *(compile, net_params, random_state, checkpoint, verbose),
)


def checks(subject, *own):
    """{parameter: its check} of the shared parameters and the subject's own."""
    shared = {check.__name__: partial(check, subject) for check in SHARED}
    return shared | {check.__name__: check for check in own}
