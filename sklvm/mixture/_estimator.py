"""What the mixture estimators share: scikit-learn's interface around EM."""

import threading
import warnings
from abc import ABCMeta, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral, Real

import numpy as np
from scipy.sparse import issparse
from sklearn.base import (
    BaseEstimator,
    DensityMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from tqdm import tqdm

from sklvm._base import (
    check_sample_weight,
    private_random_state,
    unchanged_on_error,
)
from sklvm.mixture._em import (
    WeightedRows,
    e_and_m_pass,
    first_best,
    run_em,
)
from sklvm.mixture._fitted import FittedMixture, float_dtype, observed_weight
from sklvm.mixture._reduce import Reducer, effective_n_threads, single_threaded_blas
from sklvm.mixture._starts import best_start, canonical_sample, draw_rows

SAMPLE_SIZE = 4096


def check_init(name, value, shape):
    """The user's initial value as float64, with the right shape and finite."""
    value = check_array(
        value, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=name
    )
    if value.shape != shape:
        raise ValueError(
            f"{name} has shape {value.shape}; with these n_components and X it must "
            f"have shape {shape}."
        )
    return value


class BaseMixtureEM(
    FittedMixture,
    DensityMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Finite mixture fitted by EM. A subclass supplies the family of components."""

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "weights": [StrOptions({"free", "uniform"})],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [
            StrOptions({"k-means++", "kmeans", "random", "random_from_data"})
        ],
        "weights_init": ["array-like", None],
        "acceleration": [StrOptions({"squarem"}), None],
        "warm_start": ["boolean"],
        "learning_decay": [Interval(Real, 0.5, 1.0, closed="right")],
        "random_state": ["random_state"],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    # What a subclass supplies -----------------------------------------------------

    @abstractmethod
    def _validate_rows(self, X, reset):
        """X checked at the public edge."""

    @abstractmethod
    def _make_family(self, fitted, **kwargs):
        """The family with the hooks of `_em.Family`; `fitted` as the attributes are."""

    @abstractmethod
    def _parameters(self):
        """The fitted attributes as the family's parameters, in float64."""

    @abstractmethod
    def _publish(self, params, dtype):
        """Publish the family's parameters as fitted attributes."""

    @property
    @abstractmethod
    def _means(self):
        """Mean of each component, shape (K, D)."""

    @abstractmethod
    def _draw(self, labels, rng):
        """One row from each of the components `labels`."""

    @abstractmethod
    def _n_parameters(self):
        """Number of free parameters of the fitted mixture."""

    def _as_sample(self, X, sample_weight=None):
        """X as rows that the family understands."""
        return WeightedRows(X, sample_weight)

    def _compact(self, sample, missing):
        """The same sample in the form on which EM is fastest."""
        return sample

    # Checks -----------------------------------------------------------------------

    def _initial_values(self, n_features):
        """The user's initial values, checked, by parameter name."""
        if self.weights_init is None:
            return {}
        weights = check_init("weights_init", self.weights_init, (self.n_components,))
        if weights.min() < 0 or not np.isclose(weights.sum(), 1):
            raise ValueError(
                f"weights_init={self.weights_init} must be 0 or more and sum to 1; "
                f"it sums to {weights.sum():g}."
            )
        if self.weights == "uniform" and not np.allclose(weights, weights[0]):
            raise ValueError(
                f"weights_init={self.weights_init} contradicts weights='uniform'; "
                "leave one of them at its default."
            )
        return {"weights": weights / weights.sum()}

    def _check_n_components(self, X, sample_weight):
        """As many rows as components; a row of weight 2 is two rows."""
        n = X.shape[0]
        if sample_weight is not None:
            n = max(np.count_nonzero(sample_weight), sample_weight.sum())
        if n < self.n_components:
            raise ValueError(
                f"n_components={self.n_components} must not be more than "
                f"n_samples={n:g}; decrease n_components or give more rows."
            )

    def _check_continues(self):
        """The fitted parameters are those of the mixture that is asked for."""
        if len(self.weights_) != self.n_components:
            raise ValueError(
                f"n_components={self.n_components} differs from the "
                f"{len(self.weights_)} components to continue from; set n_components="
                f"{len(self.weights_)}, or fit with warm_start=False."
            )

    def _check_observed(self, observed):
        """Every feature must have been seen at least once."""
        never = np.flatnonzero(observed == 0)
        if len(never):
            names = getattr(self, "feature_names_in_", np.arange(len(observed)))
            raise ValueError(
                f"X has only NaN in the features {', '.join(map(str, names[never]))}; "
                "drop the features that were never observed."
            )

    # Fitting ----------------------------------------------------------------------

    def _prepare(self, X, sample_weight, first):
        """Family, sample and generator of one call of `fit`, all checked.

        `first` is false where the call goes on from fitted parameters.
        """
        self._validate_params()
        X = self._validate_rows(X, reset=first)
        sample_weight = check_sample_weight(sample_weight, X)
        if first:
            self._check_n_components(X, sample_weight)
        else:
            self._check_continues()
        sample = self._as_sample(X, sample_weight)
        observed = None if issparse(X) else observed_weight(sample)
        if first and observed is not None:
            self._check_observed(observed)
        initial = self._initial_values(X.shape[1]) if first else None
        missing = observed is not None
        sample = self._compact(sample, missing)
        family = self._family(sample, missing, not first, initial)
        return family, sample, private_random_state(self.random_state)

    def _family(self, sample, missing, fitted, initial=None):
        return self._make_family(
            fitted,
            n_components=len(self.weights_) if fitted else self.n_components,
            n_features=sample.data.shape[1],
            dtype=float_dtype(sample.data),
            missing=missing,
            row_entries=getattr(sample.data, "row_entries", None),
            weights=self.weights,
            batch_size=self.batch_size,
            initial=initial,
        )

    def fit(self, X, y=None, sample_weight=None):
        """Maximise F by EM.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN is missing at random and summed out exactly.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 counts a row twice, a weight of 0 leaves it out.

        Returns
        -------
        self : object
        """
        with unchanged_on_error(self), single_threaded_blas() as n_blas:
            first = not (self.warm_start and hasattr(self, "weights_"))
            family, sample, rng = self._prepare(X, sample_weight, first)
            n_threads = effective_n_threads(self.n_jobs, n_blas)
            self._keep(self._restarts(family, sample, rng, first, n_threads), family)
        return self

    def _let_sample(self, family, sample, rng):
        """Tell the family how to draw its sample, the same whenever it does."""
        seed = rng.randint(np.iinfo(np.int32).max)

        def draw_sample():
            rng = np.random.RandomState(seed)
            return canonical_sample(sample, SAMPLE_SIZE, family.batch_size, rng)

        family.draw_sample = draw_sample

    def _restarts(self, family, sample, rng, first, n_threads):
        """One `Run` for each restart."""
        n_runs = self.n_init if first else 1
        n_parallel = min(n_threads, n_runs)
        self._let_sample(family, sample, rng)
        bar = tqdm(desc=type(self).__name__, unit="it", disable=not self.verbose)

        stop = threading.Event()

        def restart(seed):
            rng = np.random.RandomState(seed)
            if first:
                params = best_start(family, self.init_params, self.tol, rng)
            else:
                params = self._parameters()
            with Reducer(
                sample.data.shape[0], family.batch_size, n_threads // n_parallel
            ) as reducer:
                return run_em(
                    family,
                    params,
                    sample,
                    reducer,
                    tol=self.tol,
                    max_iter=self.max_iter,
                    accelerate=self.acceleration is not None,
                    draw=lambda n: draw_rows(family.sample, n, rng),
                    monitor=self._monitor(bar, stop),
                )

        seeds = rng.randint(np.iinfo(np.int32).max, size=n_runs)
        if n_parallel == 1:
            with bar:
                return [restart(seed) for seed in seeds]
        # Threads of our own: joblib's, as scikit-learn wraps them, may leave the
        # process's warning filters changed.
        with bar, ThreadPoolExecutor(n_parallel) as pool:
            futures = [pool.submit(restart, seed) for seed in seeds]
            try:
                return [future.result() for future in futures]
            except BaseException:  # Ctrl-C among them: the other restarts stop, too
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _monitor(self, bar, stop):
        """Advance the progress bar every `verbose_interval` iterations."""

        def show(n_iter, objective):
            if stop.is_set():
                raise InterruptedError("Another restart has failed.")
            if self.verbose and n_iter % self.verbose_interval == 0:
                bar.set_postfix(F=f"{objective:.6g}", refresh=False)
                bar.update(self.verbose_interval)

        return show

    def _keep(self, runs, family):
        """Publish the best run."""
        best = first_best(runs)
        if not np.isfinite(best.objective):
            raise ValueError(
                f"n_components={self.n_components} leaves components empty or "
                f"degenerate again and again in all of n_init={len(runs)} restarts; "
                f"{self._remedy}."
            )
        self._publish(best.point.params, family.dtype)
        self._moments = best.point.moments
        self.attempts_ = np.array([run.lower_bound for run in runs])
        self.lower_bound_ = float(best.lower_bound)
        self.lower_bounds_ = np.array(best.lower_bounds)
        self.n_iter_ = len(best.lower_bounds)
        self.converged_ = best.converged
        self._warn_reseeded(sum(run.n_reseeded for run in runs))
        if not best.converged and self.max_iter > 0:
            warnings.warn(
                f"F still changed by tol={self.tol} or more after max_iter="
                f"{self.max_iter} iterations; increase max_iter or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _warn_reseeded(self, n_reseeded):
        if n_reseeded:
            warnings.warn(
                f"n_components={self.n_components} left components empty or degenerate;"
                f" {n_reseeded} were re-seeded. If this happens often, {self._remedy}.",
                stacklevel=4,
            )

    def partial_fit(self, X, y=None, sample_weight=None):
        """One step of stepwise EM (Cappe and Moulines, 2009) on a batch of rows.

        After t steps the expected statistics move by (t + 2) ** -learning_decay
        towards those of the batch, and the M-step follows. The first batch also
        chooses the start, so it should be large enough to show every component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : object
            `lower_bounds_` gains F of the batch, at the parameters before the step.
        """
        with unchanged_on_error(self), single_threaded_blas() as n_blas:
            first = not hasattr(self, "weights_")
            family, sample, rng = self._prepare(X, sample_weight, first)
            n_threads = effective_n_threads(self.n_jobs, n_blas)
            self._stepwise(family, sample, rng, first, n_threads)
        return self

    def _stepwise(self, family, sample, rng, first, n_threads):
        self._let_sample(family, sample, rng)
        if first:
            params = best_start(family, self.init_params, self.tol, rng)
            self.n_iter_, self.lower_bounds_ = 0, np.empty(0)
        else:
            params = self._parameters()
        with Reducer(sample.data.shape[0], family.batch_size, n_threads) as reducer:
            _, bound, moments, following = e_and_m_pass(family, params, sample, reducer)
            if not first:
                step = (self.n_iter_ + 2) ** -self.learning_decay
                moments = family.mix(self._moments, moments, step)
                following = family.m_step(moments, params)
            params = following
            collapsed = family.collapsed(params, moments)
            if collapsed.any():
                rows = draw_rows(family.sample, collapsed.sum(), rng)
                params = family.reseed(params, collapsed, rows)
                moments = e_and_m_pass(family, params, sample, reducer).moments
        self._publish(params, family.dtype)
        self._moments = moments
        self.n_iter_ += 1
        self.lower_bound_ = float(bound)
        self.lower_bounds_ = np.append(self.lower_bounds_, bound)
        self.converged_ = False
        self._warn_reseeded(collapsed.sum())

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit, then the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self.fit(X, sample_weight=sample_weight).predict(X)

    @property
    def _n_features_out(self):
        return len(self.weights_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
