"""Uses of the public names, which a checker of types reads and nobody runs.

`mypy tests/typed.py` fails where a hint is missing or wrong: `assert_type` says what it
should be, and a comment `type: ignore[...]` stands where an error is meant, which is an
error itself where there is none.
"""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import sklvm
from sklvm import (
    GMVAE,
    VAE,
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    ConditionalVAE,
    DensityOutlierDetector,
    GaussianMixtureEM,
    JointDensityClassifier,
    MixtureEM,
    ModelImputer,
    PoissonMixtureEM,
    SparseSegmentationRDA,
    select_n_components,
)
from sklvm.autoencoder import NegativeBinomial
from sklvm.divergence import KLEstimate, fit_gaussian, kl
from sklvm.inspection import LatentSpaceDisplay, ModelSelectionDisplay
from sklvm.wrappers import ComponentSelection


def uses() -> None:
    X = np.zeros((10, 3))

    gmm = GaussianMixtureEM(3, covariance_type="tied", n_init=5, random_state=0)
    assert_type(gmm.fit(X), GaussianMixtureEM)
    assert_type(gmm.fit(X).score(X), float)
    assert_type(gmm.predict(X), NDArray[Any])
    assert_type(gmm.means_, NDArray[Any])
    assert_type(gmm.converged_, bool)
    assert_type(gmm.bic(X), float)
    GaussianMixtureEM(covariance_type="round")  # type: ignore[arg-type]
    GaussianMixtureEM(3, "full")  # type: ignore[call-arg]
    GaussianMixtureEM(n_component=3)  # type: ignore[call-arg]
    gmm.fit()  # type: ignore[call-arg]

    for mixture in (
        BernoulliMixtureEM(2),
        CategoricalMixtureEM(2),
        PoissonMixtureEM(2),
    ):
        assert_type(mixture.fit(X).lower_bound_, float)
    given = PoissonMixtureEM.from_parameters([0.5, 0.5], [[1.0], [2.0]])
    assert_type(given, PoissonMixtureEM)

    table: MixtureEM = MixtureEM(3, random_state=np.random.RandomState(0)).fit(
        {"a": [1]}
    )
    vae = VAE(latent_dim=2, likelihood=NegativeBinomial(), hidden_layer_sizes=(64, 64))
    assert_type(vae.fit(X), VAE)
    assert_type(vae.log_likelihood(X), NDArray[Any])
    VAE(objective="elbo")  # type: ignore[arg-type]
    assert_type(GMVAE(n_components=3).fit(X).predict(X), NDArray[Any])
    assert_type(ConditionalVAE().fit(X, X).score(X, X), float)
    maps = SparseSegmentationRDA(image_shape=(8, 8)).fit(X)
    assert_type(maps.encode(X), list[bytes])

    assert_type(ModelImputer(gmm).fit(X), ModelImputer)
    assert_type(DensityOutlierDetector(gmm).fit(X).predict(X), NDArray[Any])
    assert_type(JointDensityClassifier(table).fit(X, [0, 1]).classes_, NDArray[Any])
    chosen = select_n_components(gmm, X, range(1, 4), "icl")
    assert_type(chosen, ComponentSelection)
    assert_type(chosen.plot(), ModelSelectionDisplay)

    sklvm.save(gmm, "model.sklvm")
    sklvm.load("model.sklvm").score(X)
    sklvm.save(gmm)  # type: ignore[call-arg]
    assert_type(sklvm.score_in_units(gmm, X), float)
    assert_type(sklvm.elbo(gmm, X, X), float)
    sklvm.show_versions()
    print(sklvm.VEA)  # type: ignore[attr-defined]

    assert_type(kl(gmm, gmm), KLEstimate)
    assert_type(kl(gmm, gmm).divergence, float)
    assert_type(fit_gaussian(gmm).covariance, NDArray[Any])
    assert_type(LatentSpaceDisplay.from_estimator(vae, X), LatentSpaceDisplay)
