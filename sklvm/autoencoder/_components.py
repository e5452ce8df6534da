"""The components of a GMVAE: where they start, and what becomes of dead ones."""

import warnings

import numpy as np
import torch
from sklearn import config_context
from sklearn.utils import check_random_state
from skorch.callbacks import Callback

from sklvm.autoencoder._categorical import TEMPERATURES
from sklvm.autoencoder._mixture_model import LEAST_VARIANCE, TINY
from sklvm.mixture import GaussianMixtureEM
from sklvm.neural._batches import Batches

# Restarts of EM for the start, for each component and at most. Codes of images have
# many local optima; of ten components the best one is found in one restart of fifteen.
N_RESTARTS = 10
MAX_RESTARTS = 100
# Most rows that the mixture is fitted to.
N_ROWS = 20_000
# A component with a smaller share of the rows, times K, is dead.
USED_SHARE = 1e-2
# Rows by which an epoch's components are judged.
N_WATCHED = 4096


def start_components(module, codes, rows, *, variance, reg_covar, seed, **params):
    """Start a `MixtureModel` at the mixture of the codes; its responsibilities.

    `variance` is that of the codes[rows], which the mixture is fitted to.
    """
    reg_covar = max(reg_covar * variance, TINY)
    mixture = latent_mixture(codes[rows], reg_covar, seed, **params)
    variances = np.diagonal(mixture.covariances_, axis1=1, axis2=2).copy()
    if codes[rows].var(axis=0).mean() < LEAST_VARIANCE:
        variances[:] = variance
    if module.component_log_scales.shape[1] == 1:
        variances = variances.mean(axis=1, keepdims=True)
    module.set_components(mixture.weights_, mixture.means_, variances, reg_covar)
    return mixture.predict_proba(codes).astype(np.float32)


def latent_mixture(codes, reg_covar, seed, **params):
    """GaussianMixtureEM of the codes with full covariances, the best of the restarts.

    Full, as clusters of codes lie in planes of their own, which diagonal covariances
    do not tell apart. Of random rows, as better starts often end in the same optimum.
    """
    if len(codes) > N_ROWS:
        rng = check_random_state(seed)
        codes = codes[rng.choice(len(codes), N_ROWS, replace=False)]
    mixture = GaussianMixtureEM(
        init_params="random_from_data",
        n_init=min(N_RESTARTS * params["n_components"], MAX_RESTARTS),
        max_iter=300,
        reg_covar=reg_covar,
        random_state=seed,
        **params,
    )
    with config_context(array_api_dispatch=False), warnings.catch_warnings():
        # EM that is not quite done, or had to re-seed, is a start all the same.
        warnings.simplefilter("ignore")
        return mixture.fit(codes.astype(np.float64))


class ComponentMaintenance(Callback):
    """What changes from epoch to epoch while a mixture trains together with the rest.

    A component that has lost its rows is given half of the largest one, in the first
    half of the epochs, as what is split later has no time to settle. q(z|x) is freed
    when the warm-up is over; the temperature falls from there to the end.
    """

    kept_in_checkpoints = "n_before_", "n_fixed_", "temperature_"

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        batches = Batches(X, 1, torch.device(net.device))
        n = batches.n_rows
        rows = np.linspace(0, n - 1, min(n, N_WATCHED)).astype(int)
        self.rows_ = batches.rows_of_x(rows)
        self.n_before_ = self.n_fixed_ = len(net.history)
        self.temperature_ = net.module.temperature

    def on_epoch_begin(self, net, **kwargs):
        n_done, module = len(net.history) - 1, net.module
        if module.has_fixed_resp and net.step_ >= net.warmup_[1]:
            module.unfreeze()
            self.n_fixed_ = n_done
        if not module.has_fixed_resp:
            n_free = self.n_before_ + net.max_epochs - self.n_fixed_
            share = (n_done - self.n_fixed_) / max(n_free - 1, 1)
            fall = TEMPERATURES[1] / self.temperature_
            module.temperature = self.temperature_ * fall**share

    def on_epoch_end(self, net, **kwargs):
        n_split = 0
        if len(net.history) - self.n_before_ <= net.max_epochs // 2:
            usage = net.module.usage(self.rows_)
            for dead in np.flatnonzero(usage < USED_SHARE / len(usage)):
                largest = int(usage.argmax())
                net.module.split_component(largest, int(dead))
                usage[[largest, dead]] = usage[largest] / 2
                n_split += 1
        net.history.record("n_split", n_split)

    def on_train_end(self, net, **kwargs):
        self.__dict__.pop("rows_", None)  # they are data
