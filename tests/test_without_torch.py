"""What does without torch works where torch is missing; the rest says what to install.

A process that does not find torch and skorch stands for a machine without them.
"""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from sklvm import GaussianMixtureEM

ROOT = Path(__file__).parents[1]
BLOCKED = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *args):
        if name.split(".")[0] not in ("torch", "skorch"):
            return self.finder.find_spec(name, *args)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
"""


def run(code):
    """What a script prints in a process without torch."""
    code = BLOCKED + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_mixtures_and_what_stands_on_them(tmp_path):
    score, *rest = run(
        f"""
        import numpy as np
        from sklearn.datasets import load_iris
        import sklvm
        from sklvm import *
        from sklvm.divergence import kl, kl_gaussian
        from sklvm.inspection import latent_diagnostics

        X = load_iris().data.copy()
        X[::10, 0] = np.nan
        gmm = GaussianMixtureEM(3, random_state=0).fit(X)
        save(gmm, {str(tmp_path / "iris")!r})
        assert load({str(tmp_path / "iris")!r}).score(X) == gmm.score(X)
        assert not np.isnan(ModelImputer(gmm).fit_transform(X)).any()
        DensityOutlierDetector(gmm).fit(X).predict(X)
        assert abs(kl(gmm, gmm).divergence) < 1e-12
        assert len(latent_diagnostics(gmm, X))
        MixtureEM(3, random_state=0).fit(X)
        for chunk in gmm.predict(lambda: iter([X])):  # a source of rows
            assert (chunk == gmm.predict(X)).all()
        assert "torch" not in sys.modules
        print(gmm.score(X), "VAE" in dir(sklvm), hasattr(sklvm, "x"))
        """
    ).split()
    assert rest == ["False", "False"]
    X = load_iris().data.copy()
    X[::10, 0] = np.nan
    assert float(score) == GaussianMixtureEM(3, random_state=0).fit(X).score(X)


@pytest.mark.slow
def test_networks_say_how_to_install_torch():
    shown = run(
        """
        for statement in (
            "import sklvm; sklvm.VAE",
            "from sklvm import SparseSegmentationRDA",
            "from sklvm.autoencoder import VAE",
            "from sklvm.neural import ConvEncoder",
            "import sklvm.segmentation",
            "sklvm.load('tests/state/golden/0.1.0/VAE.sklvm')",
        ):
            try:
                exec(statement)
            except ImportError as error:
                print(error)
        """
    )
    (sentence,) = set(shown.splitlines())
    assert "torch and skorch, which cannot be found; install with pip" in sentence
    assert len(shown.splitlines()) == 6


@pytest.mark.slow
def test_a_mixture_on_a_device_says_so_too():
    shown = run(
        """
        import numpy as np
        from sklvm import BernoulliMixtureEM, GaussianMixtureEM
        X = np.random.default_rng(0).normal(size=(50, 2))
        for kind in (BernoulliMixtureEM, GaussianMixtureEM):
            kind(device="auto").fit(X)
            try:
                kind(device="cuda").fit(X)
            except ImportError as error:
                print(error)
        """
    )
    (sentence,) = set(shown.splitlines())
    assert sentence.startswith("device='cuda' needs torch, which cannot be found; inst")
    assert "sklvm[neural]" in sentence and "device='cpu'" in sentence


@pytest.mark.slow
def test_a_file_that_names_own_classes_can_be_read():
    shown = run(
        """
        from sklvm.state._classes import MissingClassesError, find
        assert find(["own.Class"], {"own.Class": int}) == [int]
        try:
            find(["own.Class"], {})
        except MissingClassesError as error:
            print(error.names)
        """
    )
    assert shown == "['own.Class']\n"
