"""Labels of some rows: Bayes' rule by hand, and labels and tables of every kind."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.datasets import load_wine
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from sklvm import GaussianMixtureEM, JointDensityClassifier, MixtureEM
from sklvm.mixture._starts import following_classes

from ..networks import GMVAE, VAE, needs_torch
from .models import with_missing


def blobs(n, seed=0, distance=3.0, n_classes=3, d=4):
    """Gaussians at some distance, and which one each row is from."""
    rng = np.random.default_rng(seed)
    z = rng.integers(n_classes, size=n)
    centres = distance / np.sqrt(2) * np.eye(n_classes, d)
    return centres[z] + rng.normal(size=(n, d)), z


def some_labels(z, n, seed=0, mark=-1):
    """n labels of each class, the mark elsewhere."""
    rng = np.random.default_rng(seed)
    labelled = [
        rng.choice(np.flatnonzero(z == c), size=n, replace=False) for c in np.unique(z)
    ]
    y = np.full(len(z), mark)
    y[np.ravel(labelled)] = z[np.ravel(labelled)]
    return y


def make(n_components=3, **params):
    return JointDensityClassifier(MixtureEM(n_components, random_state=0, **params))


X, Z = blobs(400)
Y = some_labels(Z, 10)


def log_joint(model, X):
    """log p(x, z, y) of the complete rows of X, of shape (n, K, n_classes)."""
    gaussian, label = model.components_
    theta = label.theta[0]
    log_p = [
        multivariate_normal(mean, covariance).logpdf(X)
        for mean, covariance in zip(gaussian.means, gaussian.covariances, strict=True)
    ]
    log_p = np.transpose(log_p) + np.log(model.weights_)
    return log_p[:, :, np.newaxis] + np.log(theta)


def test_bayes_rule_by_hand():
    classifier = make().fit(X, Y)
    joint = np.exp(log_joint(classifier.estimator_, X)).sum(axis=1)
    proba = classifier.predict_proba(X)
    assert_allclose(proba, joint / joint.sum(axis=1, keepdims=True), rtol=1e-9)
    assert_array_equal(classifier.predict(X), joint.argmax(axis=1))
    assert classifier.score(X, Z) > 0.85


def test_the_objective_sums_over_labelled_and_unlabelled_rows():
    model = make().fit(X, Y).estimator_
    p = np.exp(log_joint(model, X)).sum(axis=1)
    labelled = Y >= 0
    rows = np.log(p.sum(axis=1))
    rows[labelled] = np.log(p[labelled, Y[labelled]])
    assert_allclose(model.lower_bound_, rows.mean(), rtol=1e-9)


def test_one_component_knows_the_frequencies_only():
    """Smoothed by the prior of a tenth of a row in each class."""
    y = np.repeat([0, 1, 2, -1], [10, 20, 50, 320])
    proba = make(1).fit(X, y).predict_proba(X)
    assert_allclose(proba, np.tile([10.1, 20.1, 50.1], (400, 1)) / 80.3)


def test_unlabelled_rows_help():
    """Of overlapping classes, all rows find the best border, the labelled ones not."""
    alone, together, best = [], [], []
    for seed in range(8):
        rows, z = blobs(1000, seed, distance=2.5, n_classes=2, d=5)
        y = some_labels(z, 8, seed)
        test, truth = blobs(2000, seed + 100, distance=2.5, n_classes=2, d=5)
        labelled = y >= 0
        alone.append(make(2).fit(rows[labelled], y[labelled]).score(test, truth))
        together.append(make(2).fit(rows, y).score(test, truth))
        best.append(((test[:, 1] > test[:, 0]) == truth).mean())
    assert np.mean(together) > np.mean(alone) + 0.08
    assert np.mean(together) > np.mean(best) - 0.02


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@pytest.mark.filterwarnings("error::UserWarning")
def test_one_label_of_each_class_is_enough():
    rows, z = blobs(300, distance=10)
    classifier = make().fit(rows, some_labels(z, 1))
    assert classifier.score(rows, z) > 0.99
    # As many classes as rows: of another column one would think it an identifier.
    classifier = make(1).fit(rows[:30], np.arange(30))
    assert_array_equal(classifier.classes_, np.arange(30))
    y = np.where(np.arange(300) < 30, np.arange(300), -1)
    assert_array_equal(make(1).fit(rows, y).classes_, np.arange(30))


# Labels of every kind: (how they are written, what classes_ is).
NAMES = np.array(["setosa", "virginica", "wild"])
LABELS = {
    "int": (lambda y: y, np.arange(3)),
    "int8": (lambda y: y.astype(np.int8), np.arange(3, dtype=np.int8)),
    "float with NaN": (lambda y: np.where(y < 0, np.nan, y), np.arange(3.0)),
    "float": (lambda y: y.astype(float), np.arange(3.0)),
    "list with None": (
        lambda y: [None if c < 0 else int(c) for c in y],
        np.arange(3),
    ),
    "text with None": (
        lambda y: np.where(y < 0, None, NAMES.astype(object)[y]),
        NAMES.astype(object),
    ),
    "text with -1": (
        lambda y: np.where(y < 0, -1, NAMES.astype(object)[y]),
        NAMES.astype(object),
    ),
    "list of text with NaN": (
        lambda y: [np.nan if c < 0 else str(NAMES[c]) for c in y],
        NAMES.astype(object),
    ),
    "digits as text": (
        lambda y: np.where(y < 0, None, np.array(["0", "1", "2"], dtype=object)[y]),
        np.array(["0", "1", "2"], dtype=object),
    ),
    "Series of text": (
        lambda y: pd.Series(NAMES[y]).where(y >= 0),
        NAMES.astype(object),
    ),
    "categorical Series": (
        lambda y: pd.Series(NAMES[y]).where(y >= 0).astype("category"),
        NAMES.astype(object),
    ),
    "Int64 Series": (
        lambda y: pd.Series(y, dtype="Int64").where(y >= 0),
        np.arange(3),
    ),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind(kind):
    write, classes = LABELS[kind]
    expected = make().fit(X, Y)
    classifier = make().fit(X, write(Y))
    assert classifier.classes_.dtype == classes.dtype
    assert_array_equal(classifier.classes_, classes)
    assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))
    assert_array_equal(classifier.predict(X), classes[expected.predict(X)])
    assert classifier.estimator_.columns_[4] == "categorical"
    accuracy = (expected.predict(X) == Z)[Y >= 0].mean()
    assert classifier.score(X, write(Y)) == accuracy


@pytest.mark.parametrize(
    "write",
    [
        lambda y: np.array([None, False, True], dtype=object)[y + 1],
        lambda y: [[-1, False, True][c + 1] for c in y],
        lambda y: pd.Series(y == 1, dtype="boolean").where(y >= 0),
    ],
    ids=["None", "-1", "boolean Series"],
)
def test_booleans(write):
    rows, z = blobs(300, n_classes=2)
    y = some_labels(z, 20)
    classifier = make(2).fit(rows, write(y))
    assert classifier.classes_.dtype == bool
    assert_array_equal(classifier.classes_, [False, True])
    assert_array_equal(classifier.predict(rows), make(2).fit(rows, y).predict(rows) > 0)


def test_all_rows_labelled():
    for y in (Z, NAMES[Z], Z > 0):
        classifier = make().fit(X, y)
        assert classifier.classes_.dtype == y.dtype
        assert classifier.score(X, y) > 0.85


def test_a_column_of_labels_warns_as_in_scikit_learn():
    with pytest.warns(DataConversionWarning):
        classifier = make().fit(X, Y[:, np.newaxis])
    assert_array_equal(classifier.predict(X), make().fit(X, Y).predict(X))


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("names", [list("abcd"), ["label", "y", "c", "d"], range(4)])
def test_frames(names):
    frame = pd.DataFrame(X, columns=names, index=np.arange(400)[::-1])
    before = frame.copy()
    classifier = make().fit(frame, pd.Series(Y, index=frame.index))
    pd.testing.assert_frame_equal(frame, before)
    assert classifier.n_features_in_ == 4
    if isinstance(names, list):
        assert list(classifier.feature_names_in_) == names
    assert_array_equal(
        classifier.predict_proba(frame), make().fit(X, Y).predict_proba(X)
    )


def mixed_table(n=300):
    """Text, a number with missing cells and a count, of three groups."""
    rng = np.random.default_rng(3)
    z = rng.integers(3, size=n)
    city = np.where(rng.random(n) < 0.8, z, rng.integers(3, size=n))
    bill = rng.normal(3.0 * z)
    bill[rng.random(n) < 0.2] = np.nan
    table = {
        "city": np.array(["Bonn", "Kiel", "Ulm"])[city],
        "bill": bill,
        "visits": rng.poisson(1 + 4 * z),
    }
    return table, z


def test_tables_of_text_and_missing_cells():
    table, z = mixed_table()
    frame = pd.DataFrame(table)
    y = some_labels(z, 20)
    classifier = make().fit(frame, y)
    assert classifier.score(frame, z) > 0.8
    array = frame.to_numpy(dtype=object)
    other = make().fit(array, y)
    assert_allclose(other.predict_proba(array), classifier.predict_proba(frame))
    rows = array.tolist()
    assert_array_equal(make().fit(rows, y).predict(rows), other.predict(array))


def test_polars():
    pl = pytest.importorskip("polars")
    table, z = mixed_table()
    y = some_labels(z, 20)
    frame = pl.DataFrame(table)
    names = pl.Series([None if c < 0 else str(NAMES[c]) for c in y])
    for labels in (names, names.cast(pl.Categorical)):
        classifier = make().fit(frame, labels)
        assert frame.columns == list(table)
        assert list(classifier.feature_names_in_) == list(table)
        expected = make().fit(pd.DataFrame(table), y).predict_proba(pd.DataFrame(table))
        assert_allclose(classifier.predict_proba(frame), expected)
        assert_array_equal(classifier.classes_, NAMES)
        assert classifier.score(frame, pl.Series(NAMES[z])) > 0.8
    numbers = pl.Series([None if c < 0 else int(c) for c in y])
    assert_array_equal(make().fit(frame, numbers).classes_, np.arange(3))


def test_missing_cells():
    rows = with_missing(X, 2)
    classifier = make().fit(rows, Y)
    assert classifier.score(rows, Z) > 0.7
    frequencies = classifier.predict_proba(np.full((1, 4), np.nan))[0]
    model = classifier.estimator_
    assert_allclose(frequencies, model.weights_ @ model.components_[1].theta[0])


DIAG = {"covariance_type": "diag"}


@pytest.mark.parametrize(
    "components",
    [
        [("gaussian", ["a", "b", "c", "d"], DIAG)],
        [("gaussian", slice(None), DIAG)],
        [("gaussian", slice("a", "d"), DIAG)],
        [("gaussian", [0, 1, -2, -1], DIAG)],
        [("gaussian", [True] * 4, DIAG)],
        (("gaussian", make_column_selector(dtype_include="number"), DIAG),),
        [["gaussian", ["d", "c", "b"], DIAG], ["auto", slice(None)]],
    ],
)
def test_components_speak_of_the_columns_of_X(components):
    frame = pd.DataFrame(X, columns=list("abcd"))
    estimator = MixtureEM(3, components=components, random_state=0)
    classifier = JointDensityClassifier(estimator).fit(frame, Y)
    assert estimator.components is components
    assert "('categorical', [4])" not in repr(components)
    expected = make(components=[("gaussian", slice(None), DIAG)]).fit(X, Y)
    *blocks, label = classifier.estimator_.components_
    assert {block.kind for block in blocks} == {"gaussian"}
    names = [name for block in blocks for name in block.columns]
    assert sorted(names) == list("abcd")
    assert (label.kind, label.columns) == ("categorical", ["label"])
    assert_allclose(
        classifier.predict_proba(frame), expected.predict_proba(X), atol=0.01
    )


class OfLikelihood(MixtureEM):
    """A density whose kinds of columns are given by the parameter of a VAE."""

    def __init__(self, n_components=1, *, likelihood="auto", random_state=None):
        super().__init__(n_components, random_state=random_state)
        self.likelihood = likelihood

    def get_params(self, deep=True):
        names = "n_components", "likelihood", "random_state"
        return {name: getattr(self, name) for name in names}


@pytest.mark.parametrize("likelihood", ["auto", [("gaussian", slice(None))]])
def test_the_label_is_added_to_a_likelihood(likelihood):
    estimator = OfLikelihood(3, likelihood=likelihood, random_state=0)
    classifier = JointDensityClassifier(estimator).fit(X, Y)
    kind, columns = classifier.estimator_.likelihood[0]
    assert kind == (likelihood if likelihood == "auto" else "gaussian")
    assert columns == [0, 1, 2, 3]
    assert classifier.estimator_.likelihood[1] == ("categorical", [4])


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize("model", [VAE, GMVAE])
def test_autoencoders(model):
    params = {"hidden_layer_sizes": (32,), "max_epochs": 20, "lr": 0.01}
    estimator = model(likelihood="auto", tol=np.inf, random_state=0, **params)
    if model is GMVAE:
        estimator.set_params(n_components=3, latent_dim=3)
    classifier = JointDensityClassifier(estimator).fit(X, some_labels(Z, 40))
    assert classifier.score(X[:100], Z[:100]) > 0.7


# Cross-validation.


@pytest.mark.parametrize("as_frame", [False, True])
def test_a_weight_counts_rows(as_frame):
    """Also those of weight 0, with a class of their own."""
    weight = np.random.default_rng(0).integers(1, 4, size=400)
    weight[:20] = 0
    labels = np.where(weight, Y, 7)
    rows, y = X, labels
    if as_frame:
        rows, y = pd.DataFrame(X, columns=list("abcd")), pd.Series(labels)
    one = make(max_iter=20, tol=0.0).fit(rows, y, sample_weight=weight)
    repeated = np.repeat(np.arange(400), weight)
    two = make(max_iter=20, tol=0.0).fit(X[repeated], Y[repeated])
    assert_array_equal(one.classes_, [0, 1, 2])
    proba = two.predict_proba(X)
    assert_allclose(one.predict_proba(rows), proba, atol=1e-8)


def test_balanced_weights_make_classes_alike():
    """With one component p(y | x) is p(y), the shares of the weight."""
    rare = np.r_[np.flatnonzero(Z != 0), np.flatnonzero(Z == 0)[:8]]
    weight = compute_sample_weight("balanced", Z[rare])
    plain = make(1).fit(X[rare], Z[rare]).predict_proba(X[:1])[0]
    assert_allclose(plain, np.bincount(Z[rare]) / len(rare), atol=2e-3)
    balanced = make(1).fit(X[rare], Z[rare], sample_weight=weight)
    assert_allclose(balanced.predict_proba(X[:1])[0], 1 / 3, atol=1e-2)


@pytest.mark.parametrize(
    "weight, said", [(-np.ones(400), "negative"), (np.ones(3), "400 rows")]
)
def test_bad_weights(weight, said):
    with pytest.raises(ValueError, match=rf"sample_weight .*{said}"):
        make().fit(X, Y, sample_weight=weight)


@needs_torch
def test_weights_of_an_estimator_that_takes_none():
    classifier = JointDensityClassifier(VAE(2, likelihood="auto"))
    with pytest.raises(ValueError, match=r"sample_weight.*estimator=VAE"):
        classifier.fit(X, Y, sample_weight=np.ones(400))


def splits_of_labelled(X, y, n_splits=3):
    """Tests on labelled rows; all unlabelled ones are among the training rows."""
    labelled, unlabelled = np.flatnonzero(y != -1), np.flatnonzero(y == -1)
    folds = StratifiedKFold(n_splits).split(labelled, y[labelled])
    return [
        (np.r_[labelled[train], unlabelled], labelled[test]) for train, test in folds
    ]


def test_score_leaves_unlabelled_rows_out():
    classifier = make().fit(X, Y)
    labelled = Y >= 0
    expected = (classifier.predict(X) == Y)[labelled].mean()
    assert classifier.score(X, Y) == expected
    assert classifier.score(pd.DataFrame(X), list(Y)) == expected
    weight = np.arange(400.0)
    assert_allclose(
        classifier.score(X, Y, sample_weight=weight),
        np.average((classifier.predict(X) == Y)[labelled], weights=weight[labelled]),
    )


@pytest.mark.slow
def test_grid_search_by_accuracy():
    grid = {"estimator__n_components": [1, 3]}
    plain = GridSearchCV(make(), grid, cv=3).fit(X, Y)
    assert plain.best_params_ == {"estimator__n_components": 3}
    assert plain.best_score_ > 0.7
    cv = splits_of_labelled(X, Y)
    by_score = GridSearchCV(make(), grid, cv=cv).fit(X, Y)
    by_name = GridSearchCV(make(), grid, cv=cv, scoring="accuracy").fit(X, Y)
    assert_array_equal(
        by_score.cv_results_["mean_test_score"], by_name.cv_results_["mean_test_score"]
    )
    assert by_name.best_params_ == {"estimator__n_components": 3}
    assert_array_equal(by_name.predict(X), make().fit(X, Y).predict(X))


def test_text_with_none_in_cross_validation():
    y = np.where(Y < 0, None, NAMES.astype(object)[Y])
    scores = cross_val_score(
        make(), X, y, cv=splits_of_labelled(X, Y), scoring="accuracy"
    )
    numbers = cross_val_score(make(), X, Y, cv=splits_of_labelled(X, Y))
    assert_array_equal(scores, numbers)
    assert scores.min() > 0.6


def test_lives_in_a_pipeline():
    pipe = make_pipeline(StandardScaler(), make()).fit(100 * X, Y)
    assert pipe.score(100 * X, Z) > 0.85
    assert_array_equal(pipe.classes_, np.arange(3))
    search = GridSearchCV(
        pipe, {"jointdensityclassifier__estimator__n_components": [1, 3]}, cv=3
    )
    assert search.fit(X, Y).score(X, Z) > 0.85


def test_clone_and_pickle():
    classifier = make().fit(X, Y)
    proba = classifier.predict_proba(X)
    again = clone(classifier)
    assert not hasattr(again, "estimator_")
    assert not hasattr(classifier.estimator, "weights_")
    assert classifier.estimator.components == "auto"
    assert_array_equal(again.fit(X, Y).predict_proba(X), proba)
    assert_array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(X), proba)


# Errors.


def with_text(text):
    y = np.where(Y < 0, None, NAMES.astype(object)[Y])
    y[Y < 0] = text
    return y


@pytest.mark.parametrize(
    "y, words",
    [
        (np.where(Z > 0, 1, -1), "one class, 1; .*-1, which marks unlabelled"),
        (np.full(400, "a"), "one class, 'a'"),
        (np.full(400, -1), "no labelled row"),
        ([None] * 400, "no labelled row"),
        (np.full(400, np.nan), "no labelled row"),
        (Y[:-1], "inconsistent numbers of samples"),
        (np.where(Z == 0, np.nan, Y), "both -1 and NaN"),
        (with_text("-1"), "text '-1'.*None"),
        (np.array(["a", np.nan] * 200), "text 'nan'.*None"),
        (np.array([1, "a"] * 200, dtype=object), "types int, str; give all"),
        (np.array([1, True] * 200, dtype=object), "types bool, int; give all"),
        ([b"a", b"c"] * 200, "types bytes; give all"),
        (np.arange(400).astype("datetime64[D]"), "types date; give all"),
        (X[:, 0], "Unknown label type: continuous"),
        (np.where(Z > 0, np.inf, 0.0), "infinity"),
        (X[:, :2], "1d array"),
        (None, "requires y"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")  # scikit-learn casts infinity
def test_bad_labels(y, words):
    classifier = make().fit(X, Y)
    before = dict(vars(classifier))
    with pytest.raises(ValueError, match=words):
        classifier.fit(X, y)
    assert vars(classifier) == before


def test_bad_labels_of_score():
    classifier = make().fit(X, Y)
    with pytest.raises(ValueError, match=r"label 'wild'.*such as 0"):
        classifier.score(X, NAMES[Z])
    with pytest.raises(ValueError, match="no labelled row"):
        classifier.score(X, np.full(400, -1))
    with pytest.raises(ValueError, match="inconsistent"):
        classifier.score(X, Y[:10])
    with pytest.raises(NotFittedError):
        make().score(X, Y)
    with pytest.raises(NotFittedError):
        make().predict(X)


@pytest.mark.parametrize(
    "estimator, error, words",
    [
        ("mixture", TypeError, "estimator=str .*give MixtureEM"),
        (StandardScaler(), TypeError, "StandardScaler.*give MixtureEM"),
        (GaussianMixtureEM(), TypeError, "GaussianMixtureEM.*give MixtureEM"),
        (make_pipeline(MixtureEM()), TypeError, "Pipeline.*before this classifier"),
        (MixtureEM(components="all"), ValueError, "components='all'.*\"auto\""),
        (
            MixtureEM(components=[("gaussian", ["length"])]),
            ValueError,
            r"components has the columns \['length'\]",
        ),
        (MixtureEM(components=["auto"]), ValueError, "components has the entry 'auto'"),
        (
            MixtureEM(components=[("gaussian", [0])]),
            ValueError,
            "components leaves out",
        ),
    ],
)
def test_bad_estimators(estimator, error, words):
    with pytest.raises(error, match=words):
        JointDensityClassifier(estimator).fit(X, Y)


def test_columns_are_counted_as_the_user_does():
    classifier = make().fit(X, Y)
    words = "X has 5 features, but JointDensityClassifier is expecting 4"
    with pytest.raises(ValueError, match=re.escape(words)):
        classifier.predict(np.column_stack([X, Y]))


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_cell_is_no_class(empty):
    X = np.random.default_rng(0).normal(size=(30, 2))
    y = ["a", "b", empty] * 10
    classifier = JointDensityClassifier(MixtureEM(2, random_state=0))
    with pytest.raises(ValueError, match="empty cell; give None"):
        classifier.fit(X, y)
    y = [label.strip() or None for label in y]
    assert classifier.fit(X, y).classes_.tolist() == ["a", "b"]


def test_labels_of_rows_in_another_order():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    y = pd.Series(np.where(X["a"] > 0, "up", "down"), index=X.index)
    est = JointDensityClassifier(MixtureEM(2, random_state=0)).fit(X, y)
    for method in ("fit", "score"):
        with pytest.warns(UserWarning, match="y has the row labels of X in another"):
            getattr(est, method)(X, y.sort_values())


@pytest.mark.parametrize("text", ["<NA>", "NaN", "-1.0", " nan"])
def test_marks_that_became_text(text):
    """As by astype(str): the rows without a label made a class of their own."""
    y = np.where(np.arange(30) % 3 == 0, text, np.where(np.arange(30) % 2, "a", "b"))
    with pytest.raises(ValueError, match=f"the text '{text}', which may be a mark"):
        JointDensityClassifier(MixtureEM(2)).fit(np.eye(30)[:, :2], y)


@pytest.mark.parametrize("word", ["unknown", "Unlabelled", "?", "N/A", "None"])
def test_a_class_with_the_name_of_none_is_warned_of(word):
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.where(np.arange(60) % 3 == 0, word, np.where(np.arange(60) % 2, "a", "b"))
    classifier = JointDensityClassifier(MixtureEM(2, random_state=0))
    with pytest.warns(UserWarning, match=rf"class '{re.escape(word)}', which may mark"):
        classifier.fit(X, y)
    assert word in classifier.classes_


# Starts that follow the labels.


def test_components_that_are_classes_are_found():
    """F is at least that of one mixture for each class, and so is the accuracy high."""
    rows, y = load_wine(return_X_y=True, as_frame=True)
    shares = np.bincount(y) / len(y)
    by_class = sum(
        share * (np.log(share) + MixtureEM().fit(rows[y == c]).score(rows[y == c]))
        for c, share in enumerate(shares)
    )
    found = cross_val_score(make(3), rows, y, cv=StratifiedKFold(5))
    assert found.mean() > 0.95
    # The prior on the label's probabilities costs a little.
    assert make(3).fit(rows, y).estimator_.lower_bound_ > by_class - 0.05


@pytest.mark.parametrize("n_components", [3, 4, 7])
def test_each_component_has_rows_of_one_class(n_components):
    rng = np.random.RandomState(0)
    codes = np.where(Y < 0, np.nan, Y)
    resp = following_classes(X, np.ones(400), codes, n_components, rng)
    assert_allclose(resp.sum(axis=0), 1)
    labelled = resp[:, Y >= 0]
    classes = [set(Y[Y >= 0][own > 0]) for own in labelled]
    assert all(len(own) == 1 for own in classes)
    assert set.union(*classes) == {0, 1, 2}
    nearest = resp[:, Y < 0].argmax(axis=0)
    own = np.array([next(iter(c)) for c in classes])[nearest]
    assert (own == Z[Y < 0]).mean() > 0.7


def test_the_mixture_inside_can_be_fitted_to_a_table_without_labels():
    inner = make(3).fit(X, np.maximum(Z, 0)).estimator_
    X_new = np.c_[X, Z]
    alone = clone(inner).fit(X_new)
    assert inner.fit(X_new).lower_bound_ == alone.lower_bound_


def test_more_classes_than_components_have_no_such_start():
    rng = np.random.RandomState(0)
    assert following_classes(X, np.ones(400), Z.astype(float), 2, rng) is None
    assert make(2).fit(X, Z).score(X, Z) > 0.5


def test_a_class_of_fewer_rows_than_components():
    codes = np.where(np.arange(400) < 397, 0.0, 1.0)
    starts = [
        following_classes(X, np.ones(400), codes, n, np.random.RandomState(0))
        for n in (2, 4)
    ]
    assert starts[0] is not None
    assert starts[1] is None  # two components for three rows
    y = np.r_[Z[:200], 3]
    rows = np.r_[X[:200], X[:1] + 9]
    assert make(9).fit(rows, y).predict(rows[-1:]) == 3
