"""The variational autoencoder."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from sklvm.autoencoder._latent_dim import FindsLatentDim
from sklvm.autoencoder._model import LatentVariableModel
from sklvm.autoencoder.likelihoods import column_moments
from sklvm.neural._device import as_dense
from sklvm.state._classes import stateful


@stateful
class VAE(FindsLatentDim):
    r"""Variational autoencoder.

    Maximises the evidence lower bound, the mean over the rows of

    .. math::

        F(\theta, \phi; x) = E_{q(z|x)}[\log p_\theta(x|z)]
                             - \beta KL(q_\phi(z|x) \| p(z))
                           \le \log p_\theta(x) \quad (\beta = 1)

    where the decoder gives p(x|z), with independent features, and the encoder the
    Gaussian q(z|x), a row each; the prior p(z) is N(0, I). The gradient is that of
    reparameterised draws of z. Everything is computed and returned in float32; scores
    are in nats per sample, summed over features, with all constants.

    Parameters
    ----------
    latent_dim : int or "auto", default="auto"
        Dimension of z; "auto" is what a module of your own is for, or else the one of
        2, 3, 4, 6, 8, 12, 16, 24, 32, 48 and 64, 2 or below the number of columns, at
        which factor analysis gives rows held out of five folds the highest likelihood.
    likelihood : {"gaussian", "lognormal", "bernoulli", "poisson", \
            "negative_binomial", "categorical", "auto"}, list or Likelihood, \
            default=None
        p(x|z). A kind is that of all columns; "bernoulli" needs values in [0, 1].
        "auto" reads the kind of each column from its dtype and values, as in
        `MixtureEM`, and a list of (kind, columns) or (kind, columns, {"noise": ...})
        names them. None is "gaussian" for a table of numbers and "auto" for one with
        text or categories. A family of your own is an instance of a subclass of
        `sklvm.autoencoder.Likelihood`. Where columns have kinds, the encoder reads
        standardised numbers, log(1 + x) of counts, logarithms of long tails and
        one-hot categories, so that there is nothing to scale.
    noise : {"optimal", "shared", "learned", "heteroscedastic"}, float or array-like \
            of shape (n_features,), default="optimal"
        Standard deviations sigma_d of the Gaussian p(x|z), in units of X; of log x for
        "lognormal". "optimal" is sqrt(mean squared error) of each column, the maximum
        of F in closed form: of each batch in training; for `noise_` of all rows or,
        where folds find the length and it is more, of those held out, by draws weighed
        as in a score. "shared" is one such sigma for all columns (of a table whose
        columns have kinds, in standard units). "learned" makes them parameters;
        "heteroscedastic" lets the decoder give a sigma(z) for each column. Numbers fix
        them, one for all or one per column. A constant column, unless it has a number
        of its own, is given sigma = 1 / sqrt(2 pi), the density 1: it adds no nats.
    min_noise : float, default=0.01
        The least sigma, in standard deviations of the column, for noise that is not
        fixed. Without it a network that fits some rows exactly has a bound without
        limit, and held-out rows have next to none. Where values are rounded, as whole
        numbers are, it is no less than the deviation of rounding, step / sqrt(12).
    binarize : {"dynamic"} or None, default=None
        "dynamic" takes the values of X for probabilities and draws the bits that the
        Bernoulli likelihood needs, anew in each epoch. `score_samples` and
        `log_likelihood` draw them once, from the content of the row; `transform` reads
        the values as they are.
    mask_rate : float, default=0.0
        Share of the cells that training hides, anew in each step: of each row a share
        that is drawn between 0 and twice the rate, which is at most 0.5. A model that
        was fitted to complete rows then answers for rows with missing cells.
    objective : {"kl", "entropy", "log_ratio", "stl", "iwae", "forward_kl"}, \
            default="kl"
        How the bound is estimated. "kl" has the divergence in closed form (under
        `prior="vamp"` the entropy of q, with log p(z) at the draws); "entropy" has the
        entropy of q in closed form; "log_ratio" has both densities at the draws; "stl"
        is "log_ratio" without the score term of the gradient, which has no noise where
        q is the posterior. "iwae" is the
        importance-weighted bound, which is tighter, with doubly reparameterised
        gradients. With "forward_kl" the encoder follows KL(p(z|x) || q(z|x)) while the
        decoder follows the bound. The last two need `n_draws` of 2 or more.
    n_draws : int, default=1
        Draws of z for each row and step of the training.
    n_score_draws : int, default=16
        Draws of z for each row in a score; with more it comes closer to log p(x).
    n_score_steps : int, default=8
        Steps by which q(z|x) of each row is improved before it is scored. 0 takes
        what the encoder gives, several times as quick and often nats less.
    beta : float, default=1.0
        Weight of the KL divergence in training. Scores always have beta = 1.
    warmup : float, default=0.0
        Share of all optimisation steps during which beta rises linearly from 0. Noise
        that is not fixed shrinks while beta is small, and may not recover. A fit that
        goes on has no warm-up of its own.
    free_bits : float, default=0.0
        Nats of KL divergence, a mean over the batch, that training does not penalise.
    posterior : {"diag", "full"}, default="diag"
        Covariance of q(z|x).
    prior : {"standard", "vamp"}, default="standard"
        N(0, I), or the mean of the posteriors of pseudo-inputs that are learned
        together with the rest, which closes the holes between the aggregated posterior
        and the prior.
    n_pseudo_inputs : int, default=100
        Number of components of the prior "vamp".
    encoder : torch.nn.Module, ConvEncoder or None, default=None
        None is an MLP of `hidden_layer_sizes`. A module maps rows of n_features, or of
        2 * n_features where X has NaN (the values, NaN as 0, then 1 for observed and 0
        for missing), to rows of 2 * latent_dim: means and log standard deviations. For
        `posterior="full"` to latent_dim * (latent_dim + 3) / 2: means, logarithms of
        the diagonal of the Cholesky factor, and what is below it, row by row. It is
        copied, and trained from the weights that it has. What is random in it, as
        dropout, draws from torch's global generator.
    decoder : torch.nn.Module, ConvDecoder or None, default=None
        None is an MLP of `hidden_layer_sizes` in reverse. A module maps rows of
        latent_dim to rows of n_features: logits, or means; for heteroscedastic noise to
        2 * n_features: means, then log standard deviations. Where columns have kinds,
        encoder and decoder have the widths of `net_.module_.likelihood`.
    hidden_layer_sizes : array-like of int, default=(200,)
        Widths of the hidden layers; () makes encoder and decoder linear. Where encoder
        and decoder are None and columns are Gaussian, a linear map stands beside each
        network, and training starts at the maximum of the linear model: factor
        analysis, or probabilistic PCA for noise="shared". There the bound is tight.
    activation : {"relu", "tanh", "logistic", "silu", "gelu", "elu"}, default="relu"
        Of the hidden layers.
    max_epochs : int or "auto", default="auto"
        Passes over the training rows; "auto" as many as make 5,000 steps, and at least
        30.
    lr : float, default=3e-3
        Learning rate.
    batch_size : int, default=128
        Most rows in a step; a pass is cut into batches of nearly equal size.
    optimizer : {"adam", "adamw", "sgd"} or torch.optim.Optimizer class, default="adam"
        More of its parameters go into `net_params`, as
        ``{"optimizer__weight_decay": 1e-4}``.
    lr_schedule : {"constant", "cosine"}, default="cosine"
        "cosine" lets the learning rate fall to 0 over the steps of a fit; "constant"
        leaves it alone, or to a skorch LRScheduler among the `callbacks`.
    max_grad_norm : float or None, default=None
        Gradients of a larger norm are shortened to it.
    early_stopping : bool or "auto", default="auto"
        True holds out `validation_fraction` of the rows, stops when their importance-
        weighted bound (with another beta, or free bits, their objective) has not
        improved by `tol` for `n_iter_no_change` epochs after the warm-up, and keeps the
        weights of the best epoch, those of the start among them. "auto" does so with
        1,000 rows or more, and waits for 500 steps; with fewer, five folds of the rows
        are trained on first, and all rows then for as long as was best for what the
        folds held out. Where a "cosine" was broken off a third as many epochs follow,
        in which the rate falls to 0; 500 steps, from a third of it, where held-out rows
        were best in the first 500. "auto" leaves trainings of under 200 steps alone.
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
        Told of every epoch, and of batches where they have a method for batches. The
        net has copies of them, in `net_.callbacks_`. Those that call `net.predict`, as
        EpochScoring with a name does, do not apply.
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
        File in which `fit` keeps what it has reached, at the end of an epoch every few
        seconds. The same fit, begun again after its process was killed, goes on from
        there and ends at the same model; when it is done, it removes the file.
    verbose : int, default=0
        1 shows a progress bar over the epochs.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net: `net_.history`, with `train_loss`, `train_rate`,
        `train_distortion`, `valid_loss` of held-out rows, learning rate `lr` and
        seconds `dur` of each epoch, and `net_.module_` with `encoder`, `decoder`
        and `likelihood`. A pickle has no moments of the optimiser; `save` keeps them.
    noise_ : ndarray of shape (n_features,) or float
        sigma of p(x|z), for a Gaussian likelihood of all columns whose noise does not
        depend on z; one number for noise="shared" and a number. After `partial_fit`
        optimal noise is that of the latest batches, a running mean.
    latent_dim_ : int
    lower_bound_ : float
        F of the training rows at the returned parameters, beta = 1, one draw per row.
    lower_bounds_ : ndarray of shape (n_iter_,)
        The objective (with beta and free bits) of each epoch, a mean over its batches.
    n_iter_ : int
        Epochs run, with those of earlier fits; 0 where the linear start was best.
    converged_ : bool
        Whether early stopping ended the training, or the objective had stopped to rise:
        over `n_iter_no_change` epochs it was not above that of as many before by more
        than `tol` and two standard errors. Under the schedule "cosine", at whose end
        everything is flat, half-way through the training.
    best_epoch_ : int
        With early stopping, the epoch whose weights were kept; 0 is the start.
    held_out_bound_ : float
        With early stopping, what the held-out rows had there, a mean over the folds
        where there were folds; optimistic, as it was chosen by.
    columns_ : dict
        The kind of each column, by its name or position, where columns have kinds.
    categories_ : dict
        The categories of each bernoulli and categorical column, in the order of
        `predict_missing_proba`, where columns have kinds.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Raises
    ------
    ValueError
        If parameters contradict each other, if X does not fit the likelihood, if
        `device` is not there, if a custom module has the wrong width, or if the bound
        becomes NaN in training.

    See Also
    --------
    GaussianMixtureEM : Exact posterior over a discrete latent.

    References
    ----------
    D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014, eq. 10.
    Y. Burda et al., "Importance Weighted Autoencoders", ICLR 2016. G. Roeder, Y. Wu and
    D. Duvenaud, "Sticking the Landing", NeurIPS 2017. G. Tucker et al., "Doubly
    Reparameterized Gradient Estimators", ICLR 2019. O. Rybkin, K. Daniilidis and S.
    Levine, "Simple and Effective VAE Training with Calibrated Decoders", ICML 2021. J.
    Tomczak and M. Welling, "VAE with a VampPrior", AISTATS 2018. M. Tipping and C.
    Bishop, "Probabilistic Principal Component Analysis", 1999; D. Barber, "Bayesian
    Reasoning and Machine Learning", section 21.2 (factor analysis): the linear start.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from sklvm import VAE
    >>> X = load_digits().data
    >>> vae = VAE(latent_dim=10, max_epochs=10, tol=np.inf, random_state=0)
    >>> model = make_pipeline(MinMaxScaler(), vae).fit(X)
    >>> model.transform(X).shape
    (1797, 10)
    >>> bool(model.score(X[:100]) > 0)  # a log density, in nats
    True
    """

    _parameter_constraints = {
        **FindsLatentDim._parameter_constraints,
        "prior": [StrOptions({"standard", "vamp"})],
        "n_pseudo_inputs": [Interval(Integral, 1, None, closed="left")],
    }
    _architecture = (*FindsLatentDim._architecture, "prior", "n_pseudo_inputs")

    def __init__(
        self,
        latent_dim="auto",
        *,
        likelihood=None,
        noise="optimal",
        min_noise=0.01,
        binarize=None,
        mask_rate=0.0,
        objective="kl",
        n_draws=1,
        n_score_draws=16,
        n_score_steps=8,
        beta=1.0,
        warmup=0.0,
        free_bits=0.0,
        posterior="diag",
        prior="standard",
        n_pseudo_inputs=100,
        encoder=None,
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
        self.binarize = binarize
        self.mask_rate = mask_rate
        self.objective = objective
        self.n_draws = n_draws
        self.n_score_draws = n_score_draws
        self.n_score_steps = n_score_steps
        self.beta = beta
        self.warmup = warmup
        self.free_bits = free_bits
        self.posterior = posterior
        self.prior = prior
        self.n_pseudo_inputs = n_pseudo_inputs
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

    def fit(self, X, y=None):
        """Maximise F by stochastic gradients.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or source of shape (n_samples, \
                n_features)
            What is missing is left out: F is over the observed entries. Of a sparse
            matrix only batches are made dense. The rows of a source, as in
            `sklvm.sources`, are written to a temporary file, as float32, and trained on
            from there.
        y : Ignored

        Returns
        -------
        self : object
        """
        return self._fit(X, None)

    def partial_fit(self, X, y=None):
        """One pass over a batch of rows, at the constant learning rate `lr`.

        The first batch fixes `latent_dim_` and the start. The warm-up takes
        `warmup * max_epochs` calls of as many rows; `early_stopping` is for `fit`.

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

    def _make_module(self, X, y, generator):
        parts = self._make_parts(X, generator)
        rows = self._draw_pseudo_inputs(X, generator)
        if rows is not None:
            rows = parts["likelihood"].features(torch.from_numpy(rows))
        return LatentVariableModel(**parts, pseudo_inputs=rows)

    def _draw_pseudo_inputs(self, X, generator):
        """Random rows, each missing entry at the column's mean; None without need."""
        if self.prior != "vamp":
            return None
        rows = torch.randint(X.shape[0], (self.n_pseudo_inputs,), generator=generator)
        rows = np.array(as_dense(X[rows.numpy()]))
        if np.isnan(rows).any():
            means, _ = column_moments(X)
            rows = np.where(np.isnan(rows), means, rows).astype(np.float32)
        return rows
