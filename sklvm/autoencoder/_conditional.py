"""The conditional variational autoencoder."""

from numbers import Integral

import torch
from sklearn.utils._param_validation import HasMethods, Interval
from torch import nn

from sklvm._base import largest_magnitude
from sklvm.autoencoder._conditional_model import ConditionalModel, conditions_of
from sklvm.autoencoder._distributions import MixturePrior
from sklvm.autoencoder._fitted_conditional import FittedConditional
from sklvm.autoencoder._pairs import pairs
from sklvm.neural._length import LENGTH_CONSTRAINTS, FindsLength
from sklvm.neural._values import unscaled
from sklvm.state._classes import stateful


@stateful
class ConditionalVAE(FittedConditional, FindsLength):
    r"""Conditional variational autoencoder: a density of y given x.

    Models p(y|x) = E_{p(z|x)}[p(y|z,x)], which may have several modes and columns that
    depend on each other, and maximises the conditional evidence lower bound, the mean
    over the rows of

    .. math::

        F(\theta, \phi; x, y) = E_{q(z|y,x)}[\log p_\theta(y|z,x)]
                                - \beta KL(q_\phi(z|y,x) \| p_\theta(z|x))
                                \le \log p_\theta(y|x) \quad (\beta = 1)

    where the decoder gives p(y|z,x), with independent columns, the encoder the Gaussian
    q(z|y,x), and a third network the mixture

    .. math::

        p_\theta(z|x) = \sum_{k=1}^K \pi_k(x)
            N(z; \mu_k(x), \mathrm{diag}(\sigma_k(x)^2))

    of K = `n_prior_components` Gaussians. Without the second term z would carry y
    itself, and p(z|x), from which predictions are made, would know nothing of it.
    Everything is computed and returned in float32; scores are in nats per sample,
    summed over the columns of y, with all constants.

    Parameters
    ----------
    latent_dim : int, default=2
        Dimension of z.
    likelihood : {"gaussian", "lognormal", "bernoulli", "poisson", \
            "negative_binomial", "categorical", "auto"}, list or Likelihood, \
            default="gaussian"
        p(y|z,x), of all columns of y or, with "auto" or a list, of each, as in `VAE`;
        "categorical" takes labels of any kind. X may be a table with text and
        categories: then all its columns are read by their kinds, as with "auto", and
        the networks get numbers standardised and categories one-hot.
    noise : {"optimal", "shared", "learned", "heteroscedastic"}, float or array-like \
            of shape (n_outputs,), default="optimal"
        Standard deviations of the Gaussian p(y|z,x), in units of y: in closed form, one
        for each column or one "shared" by all; parameters that are "learned"; given by
        the decoder ("heteroscedastic"); or fixed numbers. Constant columns as in `VAE`.
    min_noise : float, default=0.01
        The least of them, in standard deviations of the column, unless they are fixed.
    objective : {"kl", "entropy", "log_ratio", "stl", "iwae", "forward_kl"}, \
            default="stl"
        How the bound is estimated, as in `VAE`; "iwae" and "forward_kl" need `n_draws`
        of 2 or more.
    n_draws : int, default=1
        Draws of z for each row and step of the training.
    n_score_draws : int, default=16
        Draws of z for each row in `score` and `score_samples`: with more the bound
        comes closer to log p(y|x).
    n_score_steps : int, default=8
        Steps by which q(z|y,x) of each row is improved before it is scored. 0 takes
        what the encoder gives, several times as quick and often nats less.
    beta : float, default=1.0
        Weight of the KL divergence in training. Scores always have beta = 1.
    warmup : float, default=0.0
        Share of the steps over which beta rises linearly from 0.
    free_bits : float, default=0.0
        Nats of the divergence, a mean over the batch, that training does not penalise.
    posterior : {"diag", "full"}, default="diag"
        Covariance of q(z|y,x).
    n_prior_components : int, default=8
        K, the Gaussians of p(z|x). One of them has mass between any two places of z,
        so that branches of y that are far apart cannot both be met closely; K only has
        to be large enough. With K > 1 the divergence has no closed form, and "kl" is
        "entropy".
    encoder : torch.nn.Module, object with `build` or None, default=None
        None is an MLP of `hidden_layer_sizes`. A module maps rows [y, x] to the
        parameters of q(z|y,x), as in `VAE`; what is categorical is one-hot.
    prior : torch.nn.Module, object with `build` or None, default=None
        The same for p(z|x): from rows x to rows of K * (2 * latent_dim + 1), the K
        means, the K log standard deviations and the K logits of pi; where K = 1 of
        2 * latent_dim, without the logit.
    decoder : torch.nn.Module, object with `build` or None, default=None
        The same for p(y|z,x): from rows [z, x] to means or logits of y.
    hidden_layer_sizes : array-like of int, default=(200,)
        Widths of the hidden layers of all three networks, reversed in the decoder; ()
        makes them linear. Without networks of your own a Gaussian y starts at linear
        regression, and z at the factors of what it leaves of y.
    activation : {"relu", "tanh", "logistic", "silu", "gelu", "elu"}, default="relu"
        Of the hidden layers.
    max_epochs : int or "auto", default="auto"
        Passes over the training rows; "auto" as many as make 10,000 steps, of fewer
        than 1,000 rows 5,000, and at least 30.
    lr : float, default=3e-3
        Learning rate.
    batch_size : int, default=128
        Most rows in a step; a pass is cut into batches of nearly equal size.
    optimizer : {"adam", "adamw", "sgd"} or torch.optim.Optimizer class, default="adam"
        More of its parameters go into `net_params`.
    lr_schedule : {"constant", "cosine"}, default="cosine"
        "cosine" lets the learning rate fall to 0 over the steps of a fit.
    max_grad_norm : float or None, default=None
        Gradients of a larger norm are shortened to it.
    early_stopping : bool or "auto", default="auto"
        When to stop, as in `VAE`; "auto" waits for 1,500 steps, as there is a plateau
        until z tells several answers to one question apart.
    validation_fraction : float, default=0.1
        Share of the rows held out for early stopping.
    n_iter_no_change : int, default=10
        Epochs over which improvement is judged.
    tol : float, default=1e-2
        Improvement, in nats per sample, that counts as one; infinity says that
        `max_epochs` is wanted as it is, without a warning.
    warm_start : bool, default=False
        Go on from the present parameters in the next `fit`.
    callbacks : list of skorch callbacks or None, default=None
        Told of every epoch, and of batches where they have a method for batches.
    device : str, default="cpu"
        "cpu", "cuda", "cuda:1", "mps", or "auto" for the best that is there.
    compile : bool, default=False
        Compile the module with `torch.compile`.
    net_params : dict or None, default=None
        Further parameters of the `skorch.NeuralNet`: "optimizer__...", "compile__..."
        and "verbose".
    random_state : int, RandomState instance or None, default=None
        Determines first weights, batches, noise, and what `sample` draws.
    checkpoint : str, path-like or None, default=None
        File in which `fit` keeps what it has reached, and from which the same fit goes
        on after its process was killed; when it is done, it removes the file.
    verbose : int, default=0
        1 shows a progress bar over the epochs.

    Attributes
    ----------
    classes_ : ndarray or list of ndarrays
        The labels of the categorical columns of y; a list for two or more of them.
    net_ : skorch.NeuralNet
        The trained net, with its `history`; `net_.module_` has `encoder`,
        `prior_network`, `decoder` and `likelihood`.
    noise_ : ndarray of shape (n_outputs,) or float
        sigma of p(y|z,x), for a Gaussian likelihood of all columns whose noise does not
        depend on z.
    lower_bound_ : float
        F of the training rows at the returned parameters, beta = 1.
    lower_bounds_ : ndarray of shape (n_iter_,)
        The objective (with beta and free bits) of each epoch, a mean over its batches.
    n_iter_ : int
        Epochs run, those of earlier fits included where they were continued.
    converged_ : bool
        Whether early stopping ended the training, or the objective had stopped to rise,
        as in `VAE`.
    best_epoch_ : int
        With early stopping, the epoch whose weights were kept.
    held_out_bound_ : float
        With early stopping, what the held-out rows had there, a mean over the folds
        where there were folds; optimistic, as it was chosen by.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Raises
    ------
    ValueError
        If y is missing, has another shape than in `fit` or a class that was not seen
        there, or does not fit the likelihood; and as in `VAE`.

    See Also
    --------
    VAE : A density of X alone, where missing columns can be imputed.

    Notes
    -----
    Neither a classifier nor a regressor to scikit-learn: `score` is a log-likelihood.
    Scorers as "r2", "accuracy" or "neg_log_loss" measure what `predict` returns. For a
    categorical y give cross-validation ``cv=StratifiedKFold()`` yourself.

    References
    ----------
    K. Sohn, H. Lee and X. Yan, "Learning Structured Output Representation using Deep
    Conditional Generative Models", NeurIPS 2015, eq. 4.

    Examples
    --------
    Two answers to every question, which a regression would average:

    >>> import numpy as np
    >>> from sklvm import ConditionalVAE
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1, 2, size=(500, 1))
    >>> y = X[:, 0] * rng.choice([-1, 1], 500) + 0.1 * rng.normal(size=500)
    >>> model = ConditionalVAE(latent_dim=1, hidden_layer_sizes=(50,), max_epochs=60,
    ...                        lr=0.01, batch_size=50, early_stopping=False, tol=1,
    ...                        random_state=0).fit(X, y)
    >>> answers, _ = model.sample([[1.5]], n_samples=100)
    >>> 20 < (answers > 0).sum() < 80
    np.True_
    >>> bool((abs(abs(answers) - 1.5) < 0.5).mean() > 0.9)
    True
    """

    _parameter_constraints = {
        **FittedConditional._parameter_constraints,
        **LENGTH_CONSTRAINTS,
        # One number of the Sobol sequence tells the component of p(z|x).
        "latent_dim": [Interval(Integral, 1, 21200, closed="both")],
        "n_prior_components": [Interval(Integral, 1, None, closed="left")],
        "prior": [nn.Module, HasMethods("build"), None],
    }
    _architecture = (*FittedConditional._architecture, "n_prior_components", "prior")
    _n_steps_of_many = 10_000  # curves that cross take more than those that do not
    _n_steps_no_change = 1500  # until z tells answers apart, there is a plateau
    _n_rise = 50  # of more, y with two branches has less
    _data_name = "y"
    _bits_remedy = "binarise y"

    def __init__(
        self,
        latent_dim=2,
        *,
        likelihood="gaussian",
        noise="optimal",
        min_noise=0.01,
        objective="stl",
        n_draws=1,
        n_score_draws=16,
        n_score_steps=8,
        beta=1.0,
        warmup=0.0,
        free_bits=0.0,
        posterior="diag",
        n_prior_components=8,
        encoder=None,
        prior=None,
        decoder=None,
        hidden_layer_sizes=(200,),
        activation="relu",
        max_epochs="auto",
        lr=3e-3,
        batch_size=128,
        optimizer="adam",
        lr_schedule="cosine",
        max_grad_norm=None,
        early_stopping="auto",
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
        self.latent_dim = latent_dim
        self.likelihood = likelihood
        self.noise = noise
        self.min_noise = min_noise
        self.objective = objective
        self.n_draws = n_draws
        self.n_score_draws = n_score_draws
        self.n_score_steps = n_score_steps
        self.beta = beta
        self.warmup = warmup
        self.free_bits = free_bits
        self.posterior = posterior
        self.n_prior_components = n_prior_components
        self.encoder = encoder
        self.prior = prior
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

    def fit(self, X, y):
        """Maximise F by stochastic gradients.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of rows
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), str or list
            Of a source the name of a column, or a list of names; X is the others.

        Returns
        -------
        self : object
        """
        return self._fit(X, y)

    def partial_fit(self, X, y):
        """One pass over a batch of rows, at the constant learning rate `lr`.

        The first batch also fixes what the networks are started with. `early_stopping`
        is for `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of rows
            Each chunk of a source is a batch.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), str or list

        Returns
        -------
        self : object
            `lower_bound_` is the objective of the batch while it was trained on.
        """
        for pair in pairs(X, y):
            self._fit(*pair, single_epoch=True)
        return self

    def _make_module(self, X, y, generator):
        y, x = self._split_rows(X)
        likelihood = self._make_likelihood(y, self._y_rows)
        conditions = conditions_of(self._x_rows, x)
        given = x[self._start_rows(len(x), generator)]
        if conditions is not None:
            given = conditions.features(torch.from_numpy(given)).numpy()
        L, n_y, n_x = self._n_latents, y.shape[1], given.shape[1]
        widths = likelihood.n_inputs(n_y) + n_x, L + n_x
        encoder, decoder = self._make_networks(likelihood, y, widths, generator, given)
        return ConditionalModel(
            encoder=encoder,
            decoder=decoder,
            prior_network=self._make_prior(n_x, generator),
            n_prior_components=int(self.n_prior_components),
            likelihood=likelihood,
            latent_dim=L,
            posterior=self.posterior,
            n_features=n_y,
            n_conditions=n_x,
            conditions=conditions,
        )

    def _starts_well(self, module):
        # Components that differ are not yet the unit Gaussian of the linear model.
        return self.n_prior_components == 1 and super()._starts_well(module)

    def _rise(self, module, watched):
        # Of few rows tens of steps are often the best.
        return super()._rise(module, watched) if watched else 0

    def _make_prior(self, n_x, generator):
        """The network of p(z|x), which is the same for every x at the start."""
        L, K = self._n_latents, int(self.n_prior_components)
        width = 2 * L if K == 1 else MixturePrior.n_parameters(L, K)
        prior = self._network("prior", n_x, width, generator)
        if self.prior is None:
            nn.init.zeros_(prior[-1].weight)
            if K > 1:
                with torch.no_grad():
                    prior[-1].bias.copy_(MixturePrior.start(L, K))
        return prior

    def _warn_of_data(self, X):
        super()._warn_of_data(self._split_rows(X)[0])  # X was looked at before

    def _cause_in_data(self, X):
        """That of the part of the rows, y or x, that has the larger values."""
        y, x = self._split_rows(X)
        if largest_magnitude(y) > largest_magnitude(x):
            return self.net_.module.likelihood.why_diverged(y)
        return None if self._x_rows.is_table else unscaled(x, "X")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.string = True
        return tags
