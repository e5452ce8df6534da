"""The components of a GMVAE: where they start, and what becomes of dead ones."""

import warnings

import numpy as np
import torch
from sklearn import config_context
from sklearn.utils import check_random_state
from skorch.callbacks import Callback

from sklvm.mixture import GaussianMixtureEM

# Restarts of EM for the start. The codes of images have many local optima, of which
# the best one is found in one restart of ten or twenty.
N_RESTARTS = 10
# Most rows that the mixture is fitted to.
N_ROWS = 20_000
# Added to the covariances, as a share of the codes' mean variance.
RIDGE = 1e-3
# A component with a smaller share of the rows, times K, is dead.
USED_SHARE = 1e-2
# Rows by which an epoch's components are judged.
N_WATCHED = 4096


def latent_mixture(codes, n_components, weights, seed):
    """GaussianMixtureEM of the codes with full covariances, the best of the restarts.

    Full, as clusters of codes lie in planes of their own, which diagonal covariances
    do not tell apart. Of random rows, as better starts often end in the same optimum.
    """
    rng = check_random_state(seed)
    codes = codes.astype(np.float64)
    params = {
        "n_components": n_components,
        "weights": weights,
        "reg_covar": RIDGE * (codes.var(axis=0).mean() or 1.0),
        "max_iter": 300,
        "random_state": seed,
    }
    sample = codes
    if len(codes) > N_ROWS:
        sample = codes[rng.choice(len(codes), N_ROWS, replace=False)]
    mixture = GaussianMixtureEM(
        init_params="random_from_data", n_init=N_RESTARTS * n_components, **params
    )
    with config_context(array_api_dispatch=False), warnings.catch_warnings():
        # EM that is not quite done, or had to re-seed, is a start all the same.
        warnings.simplefilter("ignore")
        return mixture.fit(sample)


class SplitDeadComponents(Callback):
    """Gives a component that has lost its rows half of those of the largest one.

    It looks after each epoch of the first half of the training, as what is split later
    has no time to settle. It also releases q(z|x) when the warm-up is over.
    """

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        rows = np.linspace(0, len(X) - 1, min(len(X), N_WATCHED)).astype(int)
        self.rows_ = torch.stack([torch.as_tensor(X[i][0]) for i in rows])
        self.last_epoch_ = len(net.history) + net.max_epochs // 2

    def on_epoch_begin(self, net, **kwargs):
        if net.step_ >= net.warmup_[1]:
            net.module.release()

    def on_epoch_end(self, net, **kwargs):
        n_split = 0
        if len(net.history) <= self.last_epoch_:
            usage = net.module.usage(self.rows_.to(net.device))
            for dead in np.flatnonzero(usage < USED_SHARE / len(usage)):
                net.module.split_component(int(usage.argmax()), int(dead))
                usage[dead] = usage[usage.argmax()] = usage.max() / 2
                n_split += 1
        net.history.record("n_split", n_split)

    def on_train_end(self, net, **kwargs):
        del self.rows_
