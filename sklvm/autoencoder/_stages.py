"""The three stages of GMVAE's training, and its restarts."""

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from sklvm._warn import warn_user
from sklvm.autoencoder._categorical import N_DRAWS
from sklvm.autoencoder._components import (
    USED_SHARE,
    ComponentMaintenance,
    start_components,
)
from sklvm.autoencoder._fitted_components import FittedComponents
from sklvm.autoencoder._mixture_model import MixtureModel, check_backbone
from sklvm.autoencoder._objectives import NEED_DRAWS
from sklvm.neural._interrupt import Interrupted
from sklvm.neural._trace import DivergedError


class TrainsInStages(FittedComponents):
    """Pretraining without noise, a mixture of its codes, then everything together.

    Its parameters are those of `GMVAE`.
    """

    # Checks -----------------------------------------------------------------------

    def _check_combinations(self):
        super()._check_combinations()
        if self.categorical in N_DRAWS and self.objective in NEED_DRAWS:
            raise ValueError(
                f"objective={self.objective!r} weighs draws by p(w), which "
                f"categorical={self.categorical!r} only draws; choose categorical="
                "'exact' or 'network', or another objective."
            )

    def _make_module(self, X, y, generator):
        n = X.shape[0]
        if self._holds_out(n):
            n -= round(self.validation_fraction * n)
        if n < self.n_components:
            raise ValueError(
                f"n_components={self.n_components} is above the n_samples = {n} rows "
                "to train on; decrease n_components or give more rows."
            )
        parts = self._make_parts(X, generator)
        if self.categorical != "exact":
            check_backbone(parts["encoder"], self.categorical)
        return MixtureModel(
            n_components=int(self.n_components),
            covariance_type=self.covariance_type,
            free_weights=self.weights == "free",
            categorical=self.categorical,
            **parts,
        )

    def _starts_linear(self, likelihood, n_columns):
        # The pretraining is without noise, and scales the latent as it likes.
        return False

    def _holds_out(self, n):
        return self.early_stopping or self.n_init > 1

    def _n_trainings(self, n_rows):
        return 2 * self.n_init

    def _train_anew(self, X, y, device, single_epoch):
        """All restarts; the one with the highest held-out score stays."""
        first = self._draw_seed()
        if single_epoch:
            self._train_once(X, device, first, first, single_epoch)
            return
        others = np.random.RandomState(first).randint(2**31 - 1, size=self.n_init - 1)
        attempts, best = [], None
        for seed in [first, *others.tolist()]:
            try:
                self._train_once(X, device, seed, split_seed=first)
                attempts.append(self._held_out_bound(X) if self.n_init > 1 else np.nan)
            except DivergedError as diverged:
                attempts.append(-np.inf)
                error = diverged
            except (Interrupted, KeyboardInterrupt) as interrupt:
                self._keep_restart(interrupt, attempts, best)
            else:
                if best is None or attempts[-1] == np.nanmax(attempts):
                    best = self.__dict__.copy()
        if best is None:
            raise error
        self.__dict__.update(best)
        self.attempts_ = np.array(attempts)

    def _keep_restart(self, interrupt, attempts, best):
        """After Ctrl-C the best finished restart stays, or else the present one."""
        if best is None:
            self.attempts_ = np.array([np.nan])
            raise interrupt
        self.__dict__.update(best)
        self.attempts_ = np.array(attempts)
        if isinstance(interrupt, KeyboardInterrupt):
            interrupt = Interrupted(interrupt)
        raise interrupt

    def _train_once(self, X, device, seed, split_seed, single_epoch=False):
        """One training of the three stages; of the last one pass only, if so asked."""
        self.net_ = self._make_net(X, None, device, seed)
        self.net_.split_seed_ = split_seed
        module = self.net_.module
        self._configure(module)
        if seed == split_seed:
            self._warn_of_data(X)
        n_alone = min(round(self.pretraining * self.max_epochs), self.max_epochs - 1)
        if n_alone:
            module.pretraining = True
            self._train(
                X, None, n_epochs=n_alone, warms_up=False, may_stop=False,
                is_usable=False, task="pretraining",
            )  # fmt: skip
            module.pretraining = False
            # Adam's moments are 0 for what the first stage did not train; going on with
            # them, its next steps would be several times lr.
            self.net_._initialize_optimizer()
        resp = self._start_components(X, seed)
        if n_alone and self.net_.was_stopped_:
            return  # by a callback, which means the whole training
        if single_epoch:
            # Of later batches nobody knows responsibilities to hold q(z|x) at.
            module.start_heads()
            self._train(X, None, single_epoch)
            return
        module.has_fixed_resp = self.warmup > 0
        try:
            self._train(X, resp, n_epochs=self.max_epochs - n_alone)
        except Interrupted:
            module.unfreeze()
            raise
        module.unfreeze()

    def _start_components(self, X, seed):
        """Start the mixture at that of the codes; its responsibilities."""
        module = self.net_.module
        codes = self._map_codes(X)
        rows = self._training_rows(X)
        variance = codes[rows].var(axis=0, dtype=np.float64).mean()
        if self.encoder is None and self.decoder is None and variance < 1:
            # Adam's steps have the size lr, whatever the scale of the latent: in a
            # small one they would be too large.
            codes, variance = module.scale_up(codes, variance)
        resp = start_components(
            module,
            codes,
            rows,
            variance=variance,
            reg_covar=self.reg_covar,
            seed=seed,
            n_components=int(self.n_components),
            weights=self.weights,
            verbose=self.verbose,
        )
        if self.encoder is None:
            module.set_posterior_scale(np.sqrt(variance) / 5)
        return resp

    def _training_rows(self, X):
        n = X.shape[0]
        if not self._holds_out(n):
            return slice(None)
        return self._split(n, self.net_.split_seed_)[0]

    def _held_out_bound(self, X):
        """The score of the rows that choose among the restarts."""
        self._set_noise(X[self._training_rows(X)])
        held_out = X[self._split(X.shape[0], self.net_.split_seed_)[1]]
        F = float(self._scores_of_rows(held_out).mean())
        if not np.isfinite(F):
            raise DivergedError(self.n_iter_, -F)
        return F

    def _make_callbacks(self, valid, n_rows, max_epochs):
        callbacks = super()._make_callbacks(valid, n_rows, max_epochs)
        if not self.net_.module.pretraining:
            callbacks.append(ComponentMaintenance())
        return callbacks

    def _finalize(self, X, y, single_epoch):
        super()._finalize(X, y, single_epoch)
        module = self.net_.module
        if len(getattr(self, "attempts_", [0])) == 1:
            self.attempts_ = np.array([self.lower_bound_])
        with torch.no_grad():
            variances = module.component_variances().cpu().numpy()
            self.means_ = module.component_means.detach().cpu().numpy().copy()
            self.weights_ = module.prior().log_pi().exp().cpu().numpy()
        self.covariances_ = (
            variances if self.covariance_type == "diag" else variances[:, 0]
        )
        self.component_usage_ = self._responsibilities(X).mean(axis=0)
        dead = np.flatnonzero(self.component_usage_ < USED_SHARE / self.n_components)
        if len(dead):
            warn_user(
                f"n_components={self.n_components} and {len(dead)} of them hold hardly "
                f"any row ({', '.join(map(str, dead))}); decrease n_components or "
                "increase n_init.",
                ConvergenceWarning,
            )
