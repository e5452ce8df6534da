"""What older versions of scikit-learn and SciPy do not have, or call otherwise."""

import scipy
import sklearn
from scipy.stats import qmc

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn below 1.9

    class CallbackSupportMixin:
        """Estimators without callbacks, which say so."""

        def set_callbacks(self, *callbacks):
            """Set callbacks for the estimator, which scikit-learn 1.9 brings."""
            raise NotImplementedError(
                "set_callbacks needs scikit-learn 1.9 or later, and scikit-learn "
                f"{sklearn.__version__} is installed; upgrade it."
            )

    def with_callbacks(method):
        """The method itself: there are no callbacks to tear down."""
        return method


try:
    from sklearn.utils._array_api import move_to
except ImportError:  # older: arrays of torch alone are known
    move_to = None


# SciPy 1.15 has renamed it; the points are the same.
_RNG = "seed" if scipy.__version__.startswith(("1.13.", "1.14.")) else "rng"


def sobol(n_dims, generator):
    """A scrambled Sobol sequence, by a generator of NumPy."""
    return qmc.Sobol(n_dims, scramble=True, **{_RNG: generator})


__all__ = ["CallbackSupportMixin", "move_to", "sobol", "with_callbacks"]
