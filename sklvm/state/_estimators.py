"""What every estimator says of its fitted state."""

import copy
from inspect import signature

from sklearn.exceptions import InconsistentVersionWarning

from sklvm._warn import warn_user
from sklvm.state._pack import pack, unpack


def version():
    """The package's version."""
    from sklvm import __version__  # which imports the estimators, and they this

    return __version__


class FittedStateMixin:
    """The state of an estimator: for files, and for pickle and what is built on it.

    A pickle holds plain values and NumPy arrays, which every process and skops can
    take, and the version of the package.
    """

    # Where the pictures of estimators in notebooks link to.
    _doc_link_module = "sklvm"
    _doc_link_template = (
        "https://sklvm.github.io/sklvm/generated/sklvm.{estimator_name}.html"
    )
    # Whether a pickle keeps what only a training needs that goes on, large or not.
    _pickles_resumable = False

    def _get_fitted_state(self, resumable):
        """The attributes that a file keeps; `resumable` if a training is to go on."""
        return self.__dict__.copy()

    def _set_fitted_state(self, state):
        # A state of an earlier version does not have all parameters.
        for name, parameter in signature(type(self)).parameters.items():
            if parameter.default is not parameter.empty:
                self.__dict__[name] = parameter.default
        self.__dict__.update(state)

    def save(self, path, *, resumable=True):
        """Write the fitted estimator to a file that `sklvm.load` reads: `sklvm.save`.

        Parameters
        ----------
        path : str or path-like
        resumable : bool, default=True
            Whether to keep what only a training needs that goes on.

        See Also
        --------
        sklvm.save : What is in the file, and what it raises.
        """
        from sklvm.state._save import save  # which names this class

        save(self, path, resumable=resumable)

    def _packed(self, resumable):
        return {
            "_sklvm_version": version(),
            **pack(self._get_fitted_state(resumable), resumable),
        }

    def __getstate__(self):
        return self._packed(self._pickles_resumable)

    def __setstate__(self, state):
        written = state.get("_sklvm_version", "unknown")
        if written != version():
            warn_user(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=version(),
                    original_sklearn_version=written,
                )
            )
        self._set_fitted_state(unpack(state))

    def __copy__(self):
        """A copy that shares what it refers to."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo):
        """In memory nothing is left out, so that a training goes on exactly."""
        other = memo[id(self)] = type(self).__new__(type(self))
        state = pack(self._get_fitted_state(resumable=True), resumable=True)
        other._set_fitted_state(unpack(copy.deepcopy(state, memo)))
        return other
