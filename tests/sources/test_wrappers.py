"""What stands on densities, for rows that are not in memory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris

from sklvm import (
    DensityOutlierDetector,
    GaussianMixtureEM,
    JointDensityClassifier,
    MixtureEM,
    select_n_components,
)
from sklvm.sources import ChunkSource

X, Y = load_iris(return_X_y=True)
SOURCE = ChunkSource(lambda: np.array_split(X, 3))


@pytest.mark.parametrize("criterion", ["bic", "icl"])
def test_the_number_of_components(criterion):
    model = GaussianMixtureEM(random_state=0)
    expected, found = (
        select_n_components(model, rows, range(1, 4), criterion) for rows in (X, SOURCE)
    )
    assert found.best_n_components == expected.best_n_components
    assert_allclose(found.results[criterion], expected.results[criterion])
    assert found.display.n_samples == expected.display.n_samples == 150


def test_outliers():
    detector = DensityOutlierDetector().fit(X)
    for method in ("score_samples", "decision_function", "predict"):
        answer = getattr(detector, method)
        assert_array_equal(np.concatenate(list(answer(SOURCE))), answer(X))


def test_classes():
    labels = np.where(np.arange(150) % 3 == 0, Y, -1)
    classifier = JointDensityClassifier(MixtureEM(3, random_state=0)).fit(X, labels)
    for method in ("predict", "predict_proba"):
        answer = getattr(classifier, method)
        assert_allclose(np.concatenate(list(answer(SOURCE))), answer(X))


@pytest.mark.parametrize(
    ("call", "remedy"),
    [
        (lambda: DensityOutlierDetector().fit(SOURCE), "to a sample of them"),
        (
            lambda: JointDensityClassifier(MixtureEM(2)).fit(SOURCE, Y),
            "give X and y as tables",
        ),
        (
            lambda: select_n_components(MixtureEM(), SOURCE, [1, 2], "score"),
            'choose criterion="bic" or "icl"',
        ),
    ],
)
def test_what_takes_none(call, remedy):
    with pytest.raises(TypeError, match=f"not in memory; .*{remedy}"):
        call()


def test_the_accuracy_needs_tables():
    """The length of a source, or of a path, was taken for a number of rows."""
    classifier = JointDensityClassifier(MixtureEM(2, random_state=0)).fit(X, Y)
    with pytest.raises(TypeError, match="not in memory; give X and y as tables"):
        classifier.score(SOURCE, Y)
