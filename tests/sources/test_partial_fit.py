"""Networks that are trained batch by batch, and answer for sources."""

import numpy as np
import pytest

pytest.importorskip("torch")

from sklvm import GMVAE, VAE, ConditionalVAE, GaussianMixtureEM

QUICK = {"hidden_layer_sizes": (16,), "random_state": 0}


def blobs(seed, n=2000):
    rng = np.random.default_rng(seed)
    z = rng.integers(3, size=(n, 1))
    return (4 * z + rng.normal(size=(n, 4))).astype(np.float32)


@pytest.mark.slow
def test_gmvae_is_as_good_as_by_fit():
    X, new = blobs(0), blobs(1)
    rng = np.random.default_rng(0)
    fitted = GMVAE(2, 3, max_epochs=30, **QUICK).fit(X)
    steps = GMVAE(2, 3, max_epochs=30, **QUICK)
    for _ in range(30):
        for rows in np.array_split(rng.permutation(len(X)), 4):
            steps.partial_fit(X[rows])
    assert steps.score(new) > fitted.score(new) - 0.01 * abs(fitted.score(new))


@pytest.mark.slow
def test_conditional_vae_is_as_good_as_by_fit():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, size=(3000, 1))
    y = np.sin(x) + 0.1 * rng.normal(size=x.shape)
    train, new = slice(2000), slice(2000, None)
    fitted = ConditionalVAE(1, max_epochs=80, tol=np.inf, **QUICK).fit(
        x[train], y[train]
    )
    steps = ConditionalVAE(1, **QUICK)
    scores = []
    for number in range(fitted.n_iter_):
        for rows in np.array_split(rng.permutation(2000), 4):
            steps.partial_fit(x[rows], y[rows])
        if number >= fitted.n_iter_ - 20:
            scores.append(steps.score(x[new], y[new]))
    expected = fitted.score(x[new], y[new])
    # At a constant learning rate a score goes up and down by as much from pass to pass.
    assert np.mean(scores) > expected - 0.01 * abs(expected)


@pytest.mark.parametrize(
    "est, y",
    [(VAE(), []), (GMVAE(), []), (ConditionalVAE(), ["y"]), (GaussianMixtureEM(), [])],
)
def test_a_source_without_rows_is_told(est, y):
    with pytest.raises(ValueError, match="X has no rows"):
        est.partial_fit(lambda: iter([]), *y)


@pytest.mark.parametrize(
    "est", [VAE(2, **QUICK), GMVAE(2, 2, max_epochs=4, **QUICK)], ids=["VAE", "GMVAE"]
)
def test_a_source_is_a_batch_for_each_chunk(est):
    X = blobs(0)
    one, two = est.__class__(**est.get_params()), est.__class__(**est.get_params())
    for chunk in np.array_split(X, 3):
        one.partial_fit(chunk)
    two.partial_fit(lambda: iter(np.array_split(X, 3)))
    np.testing.assert_array_equal(one.score_samples(X), two.score_samples(X))
    answers = list(two.score_samples(lambda: iter(np.array_split(X, 3))))
    np.testing.assert_allclose(
        np.concatenate(answers), two.score_samples(X), rtol=1e-4, atol=1e-4
    )
    codes = two.transform(lambda: iter(np.array_split(X, 3)))
    assert [len(Z) for Z in codes] == [667, 667, 666]
    assert two.score(lambda: iter([X])) == pytest.approx(two.score(X), abs=1e-4)
