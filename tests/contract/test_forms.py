"""Every form of input: the answer of the plain array, or one sentence with a remedy.

Never another value in silence.
"""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from ..networks import GMVAE, VAE, SparseSegmentationRDA, needs_torch
from .forms import FORMS, TEXT, VECTORS
from .targets import models, targets

NAMES = [name for name, _, _ in models()]
# Words of a remedy, those of scikit-learn's own messages among them.
REMEDY = re.compile(
    r"\b(give|set|turn|drop|encode|convert|decode|mark|leave|impute|reshape|scale|use|"
    r"make|must|mend|choose|minimum|pass|expecting|requires|convert|match|fit|"
    r"lower|merge|divide|classes are|number the classes)\b",
    re.IGNORECASE,
)
# Where NumPy, pandas or torch speak, and not this package.
RAW = re.compile(
    r"ufunc|could not convert string|float\(\) argument must|setting an array element|"
    r"inhomogeneous|has no attribute|unsupported operand|not supported between|"
    r"object is not|Cannot cast|cannot convert|can't convert|no implementation|"
    r"invalid literal|out of bounds|must be real number|boolean value of|overflow"
)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def result_of(call, value):
    """("is", result) or ("raises", error)."""
    try:
        return "is", call(value)
    except (ValueError, TypeError, NotFittedError) as error:
        return "raises", error
    except Exception as error:
        return "breaks", error


def assert_same(one, two):
    if isinstance(one, tuple | list) and not np.isscalar(one):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            assert_same(a, b)
    elif isinstance(one, bytes):
        assert one == two
    elif hasattr(one, "keys") and not isinstance(one, pd.DataFrame):
        assert_same([one[key] for key in one], [two[key] for key in one])
    else:
        if hasattr(one, "toarray"):
            one = one.toarray()
        if hasattr(two, "toarray"):
            two = two.toarray()
        one, two = np.asarray(one), np.asarray(two)
        if one.dtype.kind in "OUS" and two.dtype.kind not in "OUS":
            one = one.astype(two.dtype)
        if one.dtype.kind in "OUS":
            np.testing.assert_array_equal(one, two)
        else:
            np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-4)


def forms_of(target):
    """What the argument is given in: rows, weights or labels."""
    if target.value.ndim == 2:
        return FORMS
    return VECTORS if target.argument == "y" else VECTORS | TEXT


def fault(target, name, known):
    """What is wrong with how a form is taken, or None.

    `known` are the results of plain arrays, by their bytes.
    """
    given, plain = forms_of(target)[name](target.value)
    how, result = result_of(target.call, given)

    def of_plain():
        key = plain.tobytes()
        if key not in known:
            known[key] = result_of(target.call, plain)
        return known[key]

    if how == "breaks":
        return f"{type(result).__name__}: {result}"
    if how == "raises":
        text = str(result)
        if RAW.search(text) or not REMEDY.search(text):
            return f"no remedy in {type(result).__name__}: {text[:200]!r}"
        meant = plain is not None and of_plain()[0] == "is"
        if meant and name not in MAY_BE_REFUSED:
            return f"refused: {text[:200]!r}"
        return None
    if plain is None:
        # Of y=None some methods are a question about X alone.
        no_y = given is None and target.argument == "y"
        is_map = name in MAPS and target.estimator.__class__ in OF_MAPS
        return None if no_y or is_map else "is taken"
    how, expected = of_plain()
    if how != "is":
        return f"is taken, where the plain array is not ({str(expected)[:150]!r})"
    try:
        assert_same(result, expected)
    except (AssertionError, ValueError, TypeError) as error:
        return "another value: " + " ".join(str(error).split())[:150]
    return None


# Rows side by side are a large map to an estimator of maps, which has several tiles.
OF_MAPS, MAPS = {SparseSegmentationRDA}, {"3-d", "3-d list", "3-d tensor"}


# Not every estimator takes sparse rows, a column of booleans is no column of numbers
# to a schema, and decimals are no labels.
MAY_BE_REFUSED = {
    name
    for name in FORMS
    if re.search("sparse|_array|_matrix|bool|decimals", name) and name != "masked_row"
}


# Where rows are read: the other methods read them in the same ways.
QUICK = {"score_samples", "inverse_transform", "decision_function"}
# So each of these is given one of six forms, and each form goes to a sixth of them.
# A fit, which finds out what the columns are, is given all; but a GMVAE has this of the
# class that a VAE has it of.
SHARE = 6


def share_of(target):
    """One of how many forms is given to it."""
    is_read_alike = target.method == "fit" and isinstance(target.estimator, GMVAE)
    return 1 if target.method in QUICK | {"fit"} and not is_read_alike else SHARE


@needs_torch
def test_a_gmvae_reads_the_rows_of_a_fit_as_a_vae():
    assert GMVAE._validate_rows is VAE._validate_rows


def assert_all_right(name, wanted):
    faults = {}
    chosen = [target for target in targets(name) if wanted(target.method)]
    for number, target in enumerate(chosen):
        known, share = {}, share_of(target)
        for form in list(forms_of(target))[number % share :: share]:
            found = fault(target, form, known)
            if found:
                faults.setdefault((form, found), []).append(str(target))
    lines = [f"{form}: {what} [{', '.join(at)}]" for (form, what), at in faults.items()]
    assert not faults, "\n" + "\n".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_forms_where_rows_are_read(name):
    assert_all_right(name, lambda method: method in QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_forms_in_all_other_methods(name):
    assert_all_right(name, lambda method: method not in QUICK)
