"""What the mixture estimators share: scikit-learn's interface around EM."""

import copy
from abc import abstractmethod
from hashlib import blake2b
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from sklvm._base import (
    private_random_state,
    raise_interrupt,
    unchanged_on_error,
)
from sklvm._compat import CallbackSupportMixin, with_callbacks
from sklvm._tasks import watched
from sklvm._warn import warn_user
from sklvm.mixture._em import e_and_m_pass, first_best
from sklvm.mixture._prepare import PreparesRows
from sklvm.mixture._restarts import run_restarts
from sklvm.mixture._rows import (
    MemoryRows,
    effective_n_threads,
    single_threaded_blas,
)
from sklvm.mixture._starts import Starts
from sklvm.sources._source import weighted_tables
from sklvm.state._checkpoint import CHECKPOINT_CONSTRAINT, checkpointing
from sklvm.state._estimators import FittedStateMixin


class BaseMixtureEM(
    PreparesRows, DensityMixin, FittedStateMixin, CallbackSupportMixin, BaseEstimator
):
    """Finite mixture fitted by EM. A subclass supplies the components."""

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
        "checkpoint": CHECKPOINT_CONSTRAINT,
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    weights_prior = 1.0  # a parameter where the family has priors
    checkpoint = None  # one in all families of the package

    # What a subclass supplies -----------------------------------------------------

    @abstractmethod
    def _set_component_params(self, components, params):
        """Set the fitted attributes from params of the components."""

    def _check_fit(self, mixture, starts):
        """Warnings about the fitted params."""

    # Checks -----------------------------------------------------------------------

    def _check_continues(self):
        """The fitted parameters are those of the mixture that is asked for."""
        if len(self._weights()) != self.n_components:
            raise ValueError(
                f"n_components={self.n_components} differs from the "
                f"{len(self._weights())} components to continue from; set n_components="
                f"{len(self._weights())}, or fit with warm_start=False."
            )

    # Fitting ----------------------------------------------------------------------

    def fit(self, X, y=None, sample_weight=None):
        """Maximise F by EM.

        Parameters
        ----------
        X : array-like or source of shape (n_samples, n_features)
            NaN is missing at random and summed out exactly. Of a source of rows that
            are not in memory, as in `sklvm.sources`, each iteration is one pass.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), or str, default=None
            A weight of 2 counts a row twice, a weight of 0 leaves it out. Weights that
            are no whole numbers have an arbitrary unit: a prior compares with their
            effective number of rows. For a source, the name of a column.

        Returns
        -------
        self : object
        """
        with unchanged_on_error(self), single_threaded_blas() as n_blas:
            self._validate_params()
            first = not (self.warm_start and hasattr(self, "weights_"))
            n_threads = effective_n_threads(self.n_jobs, n_blas)
            interrupt = self._climb(X, sample_weight, first, n_threads)
        raise_interrupt(interrupt, self)
        return self

    @with_callbacks
    def _climb(self, X, sample_weight, first, n_threads):
        """EM, and the fitted attributes; None, or the Ctrl-C that ended it."""
        mixture, rows, data = self._prepare(X, sample_weight, first, n_threads)
        fitted = None if first else self._params()
        n_runs = self.n_init if first else 1
        with (
            checkpointing(self, data, fitted) as checkpoint,
            watched(
                self, n_runs, X, sample_weight=sample_weight, side_by_side=True
            ) as task,
        ):
            rng = private_random_state(checkpoint.settled(self.random_state))
            starts = Starts(mixture, rows, rng.randint(np.iinfo(np.int32).max))
            encoded = self._placed(mixture, rows)
            if encoded[0] is mixture and isinstance(rows, MemoryRows):
                encoded = self._encoded(mixture, rows)
            runs, interrupt = run_restarts(
                self, *encoded, starts, rng, fitted, checkpoint, task,
                lambda run: self._attributes_of(run, mixture),
            )  # fmt: skip
            self._select_best(runs, mixture)
            if interrupt is None:
                self._warn_of_runs(runs)
                self._check_fit(mixture, starts)
                checkpoint.remove()
        return interrupt

    def _attributes_of(self, run, mixture):
        """The attributes of the estimator if the fit ended here; None of no model."""
        if not np.isfinite(run.objective):
            return None
        other = copy.copy(self)
        other._select_best([run], mixture)
        return vars(other)

    def _select_best(self, runs, mixture):
        """Set the fitted attributes from the best run."""
        best = first_best(runs)
        if not np.isfinite(best.objective):
            raise ValueError(
                f"n_components={self.n_components} leaves components empty or "
                f"degenerate again and again in all of n_init={len(runs)} restarts; "
                f"{self._remedy}."
            )
        self._set_params_of(best.point, mixture)
        self.attempts_ = np.array([run.lower_bound for run in runs])
        self.lower_bound_ = float(best.lower_bound)
        self.lower_bounds_ = np.array(best.lower_bounds)
        self.start_lower_bounds_ = np.array(best.start_lower_bounds, dtype=float)
        self.n_iter_ = len(best.lower_bounds)
        self.converged_ = best.converged

    def _warn_of_runs(self, runs):
        self._warn_reseeded(sum(run.n_reseeded for run in runs))
        if not self.converged_ and self.n_iter_ >= self.max_iter > 0:
            warn_user(
                f"F still changed by tol={self.tol} or more after max_iter="
                f"{self.max_iter} iterations; increase max_iter or tol.",
                ConvergenceWarning,
            )

    def _set_params_of(self, point, mixture):
        components, params = mixture.components, point.params
        self.weights_ = params.weights.astype(components.dtype)
        self._set_component_params(components, params.components)
        self._statistics = point.statistics
        self._of_statistics = self._digest_of_params()

    def _warn_reseeded(self, n_reseeded):
        if n_reseeded:
            warn_user(
                f"n_components={self.n_components} left components empty or degenerate;"
                f" {n_reseeded} were re-seeded. If this happens often, {self._remedy}."
            )

    def partial_fit(self, X, y=None, sample_weight=None):
        """One step of stepwise EM (Cappe and Moulines, 2009) on a batch of rows.

        After t steps the expected statistics move by (t + 2) ** -learning_decay
        towards those of the batch. The first batch also chooses the start, so it should
        be large enough to show every component.

        Parameters
        ----------
        X : array-like or source of shape (n_samples, n_features)
            A source of rows is a batch for each of its chunks.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), or str, default=None
            For a source, the name of a column.

        Returns
        -------
        self : object
            `lower_bounds_` gains F of the batch, at the parameters before the step.
        """
        with unchanged_on_error(self), single_threaded_blas() as n_blas:
            self._validate_params()
            n_threads = effective_n_threads(self.n_jobs, n_blas)
            for table, weight in weighted_tables(X, sample_weight):
                self._take_step(table, weight, n_threads)
        return self

    def _take_step(self, X, sample_weight, n_threads):
        first = not hasattr(self, "weights_")
        mixture, rows, _ = self._prepare(X, sample_weight, first, n_threads)
        rng = private_random_state(self.random_state)
        starts = Starts(mixture, rows, rng.randint(np.iinfo(np.int32).max))
        mixture, rows = self._placed(mixture, rows)
        with rows:
            self._stepwise(mixture, rows, starts, rng, first)

    def _stepwise(self, mixture, rows, starts, rng, first):
        if first:
            params, _ = starts.best(self.init_params, self.tol, rng)
        else:
            params = self._params()
        if first or not hasattr(self, "n_iter_"):
            self.n_iter_, self.lower_bounds_ = 0, np.empty(0)
        point = e_and_m_pass(mixture, params, rows)
        bound, statistics, following = point.bound, point.statistics, point.following
        if self._earlier_statistics():
            step = (self.n_iter_ + 2) ** -self.learning_decay
            statistics = mixture.stepwise(self._statistics, statistics, step)
            following = mixture.m_step(statistics, params)
        collapsed = mixture.collapsed(following, statistics.counts)
        if collapsed.any():
            following = starts.reseed(following, collapsed, rng)
            statistics = e_and_m_pass(mixture, following, rows).statistics
        point = point._replace(params=following, statistics=statistics)
        self._set_params_of(point, mixture)
        self.n_iter_ += 1
        self.lower_bound_ = float(bound)
        self.lower_bounds_ = np.append(self.lower_bounds_, bound)
        self.converged_ = False
        self._warn_reseeded(collapsed.sum())

    _pickles_resumable = True  # the statistics of a mixture are small

    def _earlier_statistics(self):
        """Whether there are any; not after parameters set by hand."""
        kept = getattr(self, "_statistics", True)
        if kept is None:
            warn_user(
                "partial_fit forgets all earlier batches, as this estimator was saved "
                "without their statistics; use sklvm.save(resumable=True) for models "
                "that are to go on."
            )
        elif self._are_set_by_hand():
            warn_user(
                "partial_fit forgets all earlier batches, as attributes were set by "
                "hand since; to put components in order, change those of a copy."
            )
            return False
        return hasattr(self, "_statistics") and kept is not None

    def _digest_of_params(self):
        weights, params = self._params()
        digest = blake2b(digest_size=16)
        for values in (weights, *params):
            digest.update(np.ascontiguousarray(values))
        return digest.digest()

    def _are_set_by_hand(self):
        """Whether attributes are others than those that came with the statistics."""
        before = getattr(self, "_of_statistics", None)
        if before is None or not hasattr(self, "_statistics"):
            return False
        return before != self._digest_of_params()

    def _get_fitted_state(self, resumable):
        state = super()._get_fitted_state(resumable)
        state.pop("_of_statistics", None)
        if not resumable and "_statistics" in state:
            state["_statistics"] = None
        return state

    def _set_fitted_state(self, state):
        super()._set_fitted_state(state)
        if "_statistics" in state:
            self._of_statistics = None  # they are of the attributes beside them

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
        return len(self._weights())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
