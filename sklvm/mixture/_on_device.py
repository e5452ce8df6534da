"""Mixtures that compute on a device of torch, and on tensors wherever they lie."""

from functools import partial, wraps

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from sklvm._base import check_sample_weight, in_rows
from sklvm._optional import missing_torch
from sklvm.columns._libraries import dispatches, is_foreign, is_tensor, like, to_numpy
from sklvm.mixture._estimator import BaseMixtureEM
from sklvm.mixture._rows import MemoryRows


def _is_on(X, device):
    """Whether a tensor is on a device, which may be one kind's without a number."""
    same = X.device.type == device.type
    return same and device.index in (None, X.device.index)


def answers_in_kind(method):
    """Let the answers of a method be arrays of the library of X, on its device."""

    @wraps(method)
    def answer(self, X, *args, **kwargs):
        return like(X, method(self, X, *args, **kwargs))

    return answer


def answers_by_numpy(method):
    """The same for a method that is not computed on the device of a tensor."""

    @wraps(method)
    def answer(self, X, *args, **kwargs):
        return like(X, method(self, to_numpy(X), *args, **kwargs))

    return answer


def fits_in_kind(method):
    """Let fitted attributes be in the library of X where scikit-learn dispatches."""

    @wraps(method)
    def fit(self, X, y=None, sample_weight=None):
        method(self, X, y, sample_weight)
        if dispatches() and (is_tensor(X) or is_foreign(X)):
            for name in self._shared_attributes:
                arrays = _in_numpy(self.__dict__[name])
                self.__dict__[name] = _each(partial(like, X), arrays)
        return self

    return fit


def _each(function, attribute):
    """`function` of an attribute, or of each array of a list."""
    if isinstance(attribute, list):
        return [function(array) for array in attribute]
    return function(attribute)


_in_numpy = partial(_each, to_numpy)


class OnDevice(BaseMixtureEM):
    """A mixture with the parameter `device`: rows are NumPy's, or go to the device.

    torch is imported for the latter alone.
    """

    _parameter_constraints = {
        **BaseMixtureEM._parameter_constraints,
        # A string, or a torch.device, which is not to be imported for this.
        "device": "no_validation",
    }
    device: str  # a parameter of the estimator

    def _device_of(self, X):
        """The device that computes on X; None is NumPy's."""
        if str(self.device) == "cpu":
            return None
        device = self._resolved_device()
        if device is None or device.type == "cpu":
            return None
        if not issparse(X):
            return device
        if self.device == "auto":
            return None
        raise ValueError(
            f"X is sparse and device={self.device!r}, where rows are dense; give "
            "X.toarray(), or choose device='cpu', which never makes X dense."
        )

    def _resolved_device(self):
        if "torch" in missing_torch():
            if self.device == "auto":
                return None
            raise ImportError(
                f"device={self.device!r} needs torch, which cannot be found; install "
                "with pip install \"sklvm[neural]\", or choose device='cpu'.",
                name="torch",
            )
        from sklvm._devices import resolve_device

        return resolve_device(self.device, ("cuda",))

    def _placed(self, mixture, rows):
        in_memory = isinstance(rows, MemoryRows)
        few = rows.take(slice(0, 1)) if in_memory else rows.reader.few
        device = self._device_of(getattr(few, "tensor", few))
        if device is None:
            return mixture, rows
        from sklvm.mixture._torch_rows import on_device

        return on_device(mixture, rows, device, self.batch_size)

    def _map(self, X, method):
        device = self._device_of(X)
        if device is None:
            return super()._map(X, method)
        data = self._chunks(X)
        missing = self._any_missing(data)
        return to_numpy(self._map_there(device, data, missing, method))

    def _map_there(self, device, data, missing, method):
        from sklvm.mixture._torch_rows import on_device

        n, n_features = data.shape
        mixture = self._mixture(n_features, dtype=data.dtype, missing=missing)
        rows = MemoryRows(data, batch_size=n)
        mixture, rows = on_device(mixture, rows, device, self.batch_size)
        e_step = mixture.e_step(self._params(), n)
        with rows:
            return rows.map(partial(method, e_step))


class TakesTensors(OnDevice):
    """The same for rows of numbers, which may be a tensor.

    That is computed on where it lies, whatever `device` is, if that is the default.
    """

    _shared_attributes = ("weights_",)
    _threshold = None  # of what is read as 0 and 1

    def _has_refused(self, X):
        """Whether a tensor holds numbers that `_check_rows` refuses, or changes."""
        return False

    def _device_of(self, X):
        if not is_tensor(X):
            return super()._device_of(X)
        device = self._resolved_device()
        if str(self.device) not in ("cpu", "auto") and not _is_on(X, device):
            raise ValueError(
                f"X is a tensor on {str(X.device)!r} and device={self.device!r}; give "
                f"X.to({str(device)!r}), or device='cpu', which leaves a tensor where "
                "it is."
            )
        return X.device if X.device.type in ("cpu", "cuda", "meta") else None

    # Fits ---------------------------------------------------------------------------

    def _memory_rows(self, X, sample_weight, first, n_threads):
        if not is_tensor(X) or self._device_of(X) is None:
            return super()._memory_rows(to_numpy(X), sample_weight, first, n_threads)
        from sklvm.mixture._torch_rows import (
            TensorRows,
            check_tensor,
            device_chunk_size,
        )

        X = check_tensor(self, X, reset=first)
        data = TensorRows(X, self._threshold)
        like_rows = np.broadcast_to(0.0, data.shape)
        weight = in_rows(check_sample_weight(to_numpy(sample_weight), like_rows))
        size = self.batch_size or device_chunk_size(data.shape[1], data.dtype, X.device)
        rows = MemoryRows(data, weight, batch_size=size, n_threads=n_threads)
        X = TensorRows(X)
        # What a checkpoint keeps a digest of.
        return X if self.checkpoint is None else to_numpy(X[:].tensor), rows

    fit = fits_in_kind(BaseMixtureEM.fit)
    partial_fit = fits_in_kind(BaseMixtureEM.partial_fit)

    # Answers ------------------------------------------------------------------------

    def _checked(self, X):
        if not is_tensor(X) or self._device_of(X) is None:
            return super()._checked(to_numpy(X))
        from sklvm.mixture._torch_rows import check_tensor

        check_is_fitted(self)
        X = check_tensor(self, X, reset=False)
        self._check_width(X)
        return X

    def _map(self, X, method):
        if not is_tensor(X) or (device := self._device_of(X)) is None:
            return super()._map(X, method)
        from sklvm.mixture._torch_rows import TensorRows

        data = TensorRows(X, self._threshold)
        return self._map_there(device, data, data.has_missing(), method)

    def _log_evidence(self, X):
        if not is_tensor(X):
            return super()._log_evidence(X)
        return self._map(X, lambda e, X, w: e.log_density(X, w))

    def _responsibilities(self, X):
        if not is_tensor(X) or self._device_of(X) is None:
            return super()._responsibilities(X)
        X = self._checked(X)
        # Chunks are of the precision of the answer.
        return self._map(X, lambda e, X, w: e.responsibilities(X, w).to(X.dtype))

    score_samples = answers_in_kind(BaseMixtureEM.score_samples)
    predict_proba = answers_in_kind(BaseMixtureEM.predict_proba)
    predict = answers_in_kind(BaseMixtureEM.predict)
    conditional_score_samples = answers_by_numpy(
        BaseMixtureEM.conditional_score_samples
    )
    impute = answers_by_numpy(BaseMixtureEM.impute)
    sample_missing = answers_by_numpy(BaseMixtureEM.sample_missing)
    inverse_transform = answers_by_numpy(BaseMixtureEM.inverse_transform)

    def sample(self, n_samples=1):
        X, labels = super().sample(n_samples)
        if not dispatches():
            return X, labels
        return like(self.weights_, X), like(self.weights_, labels)

    # Attributes ---------------------------------------------------------------------

    def _get_fitted_state(self, resumable):
        """Files and pickles hold arrays of NumPy."""
        state = super()._get_fitted_state(resumable)
        for name in self._shared_attributes:
            if name in state:
                state[name] = _in_numpy(state[name])
        return state


# Outside of scikit-learn's own wrapper, which makes DataFrames where it is asked to.
TakesTensors.transform = answers_in_kind(BaseMixtureEM.transform)
