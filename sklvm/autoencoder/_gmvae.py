"""The Gaussian mixture variational autoencoder."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from sklvm._warn import warn_user
from sklvm.autoencoder._categorical import CATEGORICAL, N_DRAWS
from sklvm.autoencoder._components import (
    USED_SHARE,
    TendComponents,
    start_components,
)
from sklvm.autoencoder._fitted_components import FittedComponents
from sklvm.autoencoder._mixture_model import MixtureModel, check_trunk
from sklvm.autoencoder._objectives import NEED_DRAWS
from sklvm.neural._interrupt import Interrupted
from sklvm.neural._training import DivergedError
from sklvm.state._classes import stateful


@stateful
class GMVAE(FittedComponents):
    r"""Gaussian mixture variational autoencoder: clusters in a latent space.

    Maximises the evidence lower bound, the mean over the rows of

    .. math::

        F(\theta, \phi; x) = E_{q(w|x)}\Big[\log p(x|w)
            + \sum_k q(z{=}k|w,x) \log \frac{p(z{=}k) p(w|z{=}k)}{q(z{=}k|w,x)}
            - \log q(w|x)\Big] \le \log p(x)

    where z is one of K components, p(w|z=k) = N(mu_k, sigma_k^2) in the latent space of
    w, the decoder gives p(x|w), with independent features, and the encoder the Gaussian
    q(w|x). Since x and z are independent given w, the best q(z|w,x) is p(z|w), the
    responsibilities of a mixture; with it the sum is log p(w). Everything is computed
    and returned in float32; scores are in nats per sample, with all constants.

    A fit has three stages, as a mixture that starts from nothing collapses. The
    autoencoder is trained alone, without noise. A `GaussianMixtureEM` of its codes with
    full covariances, the best of 10 K restarts (at most 100) by its likelihood, starts
    the components. Then everything trains together: during the warm-up q(z|x) is held
    at that mixture's responsibilities, so that the latent space takes its shape, and is
    free afterwards. In the first half of this stage a component that dies is given half
    of the largest one.

    Parameters
    ----------
    n_components : int, default=2
        Number of components K.
    latent_dim : int, default=2
        Dimension of w.
    covariance_type : {"diag", "spherical"}, default="diag"
        A variance for each component and dimension of w, or one for each component.
    weights : {"uniform", "free"}, default="uniform"
        "uniform" fixes p(z) at 1 / K; "free" learns it.
    categorical : {"exact", "network", "gumbel", "reinforce"}, default="exact"
        q(z|w,x). "exact" is p(z|w). The others learn a network that shares the
        encoder's body: "network" sums over k; "gumbel" relaxes a draw of z, with a
        temperature that falls from 1 to 0.3 after the warm-up; "reinforce" takes the
        score function of four draws with a leave-one-out baseline. They are there to be
        compared: their bound is never above that of "exact".
    reg_covar : float, default=1e-3
        Added to the variances sigma_k^2, so the least they can be, as a share of the
        mean variance of the codes after the pretraining.
    pretraining : float, default=0.3
        Share of `max_epochs` that trains the autoencoder alone.
    n_init : int, default=1
        Number of whole trainings. With more than one, `validation_fraction` of the rows
        is held out, and the training with the highest F of these rows is kept.
    likelihood, noise, min_noise, binarize, mask_rate : \
            default=None, "optimal", 0.01, None, 0.0
        p(x|w), as in `VAE`.
    objective, n_draws, n_score_draws : default="kl", 1, 16
        How the bound is estimated, as in `VAE`. "kl" has the entropy of q(w|x) in
        closed form, like "entropy".
    beta, free_bits : default=1.0, 0.0
        As in `VAE`, for the terms of w and z together.
    warmup : float, default=0.3
        Share of the steps after the start during which beta rises linearly from 0 and
        q(z|x) is held at the responsibilities of the start. A fit that goes on has no
        warm-up of its own.
    posterior, encoder, decoder, hidden_layer_sizes, activation : \
            default="diag", None, None, (200,), "relu"
        q(w|x) and the networks, as in `VAE`. For a `categorical` other than "exact" an
        encoder of your own is a torch.nn.Sequential that ends in a Linear.
    max_epochs, lr, batch_size, optimizer, lr_schedule, max_grad_norm : \
            default=100, 1e-3, 128, "adam", "cosine", None
        The training, as in `VAE`; a schedule starts again after the pretraining.
    early_stopping, validation_fraction, n_iter_no_change, tol : \
            default=False, 0.1, 10, 1e-2
        When to stop, as in `VAE`.
    warm_start : bool, default=False
        Go on from the present parameters in the next `fit`, without a new start.
    callbacks, device, compile, net_params, random_state, checkpoint, verbose : \
            default=None, "cpu", False, None, None, None, 0
        As in `VAE`. A callback that stops the pretraining stops the training.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        p(z).
    means_ : ndarray of shape (n_components, latent_dim)
        mu_k.
    covariances_ : ndarray of shape (n_components, latent_dim) or (n_components,)
        sigma_k^2, for "diag" and "spherical".
    component_usage_ : ndarray of shape (n_components,)
        Mean of q(z|x) over the training rows. `fit` warns of components with less than
        a hundredth of 1 / K.
    attempts_ : ndarray of shape (n_init,)
        F of the held-out rows for each training of the latest fit that started anew,
        -inf where it diverged; for `n_init=1` it is `lower_bound_`.
    lower_bounds_ : ndarray of shape (n_iter_,)
        The objective of each epoch, a mean over its batches: log p(x|w) in the
        pretraining, then F with beta and free bits; for "gumbel" its relaxation.
    columns_, categories_, net_, noise_, lower_bound_, n_iter_, converged_, \
            best_epoch_, n_features_in_, feature_names_in_ :
        As in `VAE`.

    Raises
    ------
    ValueError
        As in `VAE`, and if `n_components` is above the number of rows.

    See Also
    --------
    GaussianMixtureEM : The mixture in the space of X itself, with an exact posterior.
    VAE : The same without z.

    References
    ----------
    N. Dilokthanakul et al., "Deep Unsupervised Clustering with Gaussian Mixture
    Variational Autoencoders", 2016. Z. Jiang et al., "Variational Deep Embedding",
    IJCAI 2017, eq. 8 and appendix A: the best q(z|x). E. Jang, S. Gu and B. Poole,
    "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017. W. Kool, H. van
    Hoof and M. Welling, "Buy 4 REINFORCE Samples, Get a Baseline for Free!", 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklvm import GMVAE
    >>> X = load_iris().data
    >>> gmvae = GMVAE(n_components=3, tol=1, random_state=0)
    >>> model = make_pipeline(StandardScaler(), gmvae).fit(X)
    >>> model.predict_proba(X).shape
    (150, 3)
    """

    _parameter_constraints = {
        **FittedComponents._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"diag", "spherical"})],
        "weights": [StrOptions({"uniform", "free"})],
        "categorical": [StrOptions(set(CATEGORICAL))],
        "reg_covar": [Interval(Real, 0.0, None, closed="neither")],
        "pretraining": [Interval(Real, 0.0, 1.0, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
    }
    _shaping = (
        *FittedComponents._shaping,
        *("n_components", "covariance_type", "weights", "categorical", "reg_covar"),
    )

    _hold_out_remedy = "early_stopping=False and n_init=1"

    def __init__(
        self,
        n_components=2,
        latent_dim=2,
        *,
        covariance_type="diag",
        weights="uniform",
        categorical="exact",
        reg_covar=1e-3,
        pretraining=0.3,
        n_init=1,
        likelihood=None,
        noise="optimal",
        min_noise=0.01,
        binarize=None,
        mask_rate=0.0,
        objective="kl",
        n_draws=1,
        n_score_draws=16,
        beta=1.0,
        warmup=0.3,
        free_bits=0.0,
        posterior="diag",
        encoder=None,
        decoder=None,
        hidden_layer_sizes=(200,),
        activation="relu",
        max_epochs=100,
        lr=1e-3,
        batch_size=128,
        optimizer="adam",
        lr_schedule="cosine",
        max_grad_norm=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-2,
        warm_start=False,
        callbacks=None,
        device="cpu",
        compile=False,
        net_params=None,
        random_state=None,
        checkpoint=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.latent_dim = latent_dim
        self.covariance_type = covariance_type
        self.weights = weights
        self.categorical = categorical
        self.reg_covar = reg_covar
        self.pretraining = pretraining
        self.n_init = n_init
        self.likelihood = likelihood
        self.noise = noise
        self.min_noise = min_noise
        self.binarize = binarize
        self.mask_rate = mask_rate
        self.objective = objective
        self.n_draws = n_draws
        self.n_score_draws = n_score_draws
        self.beta = beta
        self.warmup = warmup
        self.free_bits = free_bits
        self.posterior = posterior
        self.encoder = encoder
        self.decoder = decoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.max_grad_norm = max_grad_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.compile = compile
        self.net_params = net_params
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    # Checks -----------------------------------------------------------------------

    def _check_combinations(self):
        super()._check_combinations()
        if self.categorical in N_DRAWS and self.objective in NEED_DRAWS:
            raise ValueError(
                f"objective={self.objective!r} weighs draws by p(w), which "
                f"categorical={self.categorical!r} only draws; choose categorical="
                "'exact' or 'network', or another objective."
            )

    # Fitting ----------------------------------------------------------------------

    def fit(self, X, y=None):
        """Maximise F by stochastic gradients.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            What is missing is left out: F is over the observed entries. Of a sparse
            matrix only batches are made dense.
        y : Ignored

        Returns
        -------
        self : object
        """
        return self._fit(X, None)

    def partial_fit(self, X, y=None):
        """One pass over a batch of rows, at the constant learning rate `lr`.

        The first batch also chooses the start: on it the networks are trained alone for
        the `pretraining` of `max_epochs`, and the components begin at the mixture of
        its codes. It should be large enough to show every component. `n_init` and
        `early_stopping` are for `fit`.

        Parameters
        ----------
        X : array-like or source of shape (n_samples, n_features)
            A source of rows, as in `sklvm.sources`, is a batch for each of its chunks;
            if one fails, those before it count.
        y : Ignored

        Returns
        -------
        self : object
            `lower_bound_` is the objective of the batch while it was trained on.
        """
        return self._pass_over(X)

    def fit_predict(self, X, y=None):
        """Fit, then the component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
        """
        return self.fit(X).predict(X)

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
            check_trunk(parts["encoder"], self.categorical)
        return MixtureModel(
            n_components=self.n_components,
            covariance_type=self.covariance_type,
            free_weights=self.weights == "free",
            categorical=self.categorical,
            **parts,
        )

    def _starts_linear(self, likelihood, X):
        # The pretraining is without noise, and scales the latent as it likes.
        return False

    def _holds_out(self, n):
        return self.early_stopping or self.n_init > 1

    def _n_trainings(self, n_rows):
        return 2 * self.n_init

    def _train_anew(self, X, y, device, one_pass):
        """All restarts; the one with the highest held-out F stays."""
        first = self._draw_seed()
        if one_pass:
            self._train_once(X, device, first, first, one_pass)
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

    def _train_once(self, X, device, seed, split_seed, one_pass=False):
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
        if one_pass:
            # Of later batches nobody knows responsibilities to hold q(z|x) at.
            module.start_heads()
            self._train(X, None, one_pass)
            return
        module.is_held = self.warmup > 0
        try:
            self._train(X, resp, n_epochs=self.max_epochs - n_alone)
        except Interrupted:
            module.release()
            raise
        module.release()

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
            n_components=self.n_components,
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
        """F of the rows that choose among the restarts."""
        self._set_noise(X[self._training_rows(X)])
        held_out = X[self._split(X.shape[0], self.net_.split_seed_)[1]]
        F = float(self._lower_bounds_of_rows(held_out, self.n_score_draws).mean())
        if not np.isfinite(F):
            raise DivergedError(self.n_iter_, -F)
        return F

    def _make_callbacks(self, valid, n_rows, max_epochs):
        callbacks = super()._make_callbacks(valid, n_rows, max_epochs)
        if not self.net_.module.pretraining:
            callbacks.append(TendComponents())
        return callbacks

    def _finish(self, X, y, one_pass):
        super()._finish(X, y, one_pass)
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
