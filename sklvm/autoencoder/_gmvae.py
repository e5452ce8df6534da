"""The Gaussian mixture variational autoencoder."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from sklvm.autoencoder._categorical import CATEGORICAL
from sklvm.autoencoder._stages import TrainsInStages
from sklvm.state._classes import stateful


@stateful
class GMVAE(TrainsInStages):
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
        is held out, and the training with their highest `score` is kept.
    likelihood : {"gaussian", "lognormal", "bernoulli", "poisson", \
            "negative_binomial", "categorical", "auto"}, list or Likelihood, \
            default=None
        p(x|w). A kind is that of all columns; "auto" reads the kind of each, and a list
        of (kind, columns) or (kind, columns, {"noise": ...}) names them. None is
        "gaussian" for a table of numbers and "auto" for one with text or categories.
        `VAE` says more of it.
    noise : {"optimal", "shared", "learned", "heteroscedastic"}, float or array-like \
            of shape (n_features,), default="optimal"
        Standard deviations of the Gaussian p(x|w), in units of X: in closed form, one
        for each column or one "shared" by all; parameters that are "learned"; given by
        the decoder ("heteroscedastic"); or fixed numbers. Constant columns as in `VAE`.
    min_noise : float, default=0.01
        The least of them, in standard deviations of the column, where they are not
        fixed.
    binarize : {"dynamic"} or None, default=None
        "dynamic" takes the values of X for probabilities and draws bits of them anew in
        each epoch, for the Bernoulli likelihood.
    mask_rate : float, default=0.0
        Share of the cells that training hides, anew in each step, at most 0.5. A model
        of complete rows then answers for rows with missing cells.
    objective : {"kl", "entropy", "log_ratio", "stl", "iwae", "forward_kl"}, \
            default="kl"
        How the bound is estimated, as in `VAE`. "kl" has the entropy of q(w|x) in
        closed form, like "entropy"; "iwae" and "forward_kl" need `n_draws` of 2 or
        more.
    n_draws : int, default=1
        Draws of w for each row and step of the training.
    n_score_draws : int, default=16
        Draws of w for each row in `score` and `score_samples`: with more the bound
        comes closer to log p(x).
    n_score_steps : int, default=8
        Steps by which q(w|x) of each row is improved before it is scored. 0
        takes what the encoder gives, several times as quick and often nats less.
    beta : float, default=1.0
        Weight in training of the terms of w and z together. Scores always have
        beta = 1.
    warmup : float, default=0.3
        Share of the steps after the start during which beta rises linearly from 0 and
        q(z|x) is held at the responsibilities of the start. A fit that goes on has no
        warm-up of its own.
    free_bits : float, default=0.0
        Nats of these terms, a mean over the batch, that training does not penalise.
    posterior : {"diag", "full"}, default="diag"
        Covariance of q(w|x).
    encoder : torch.nn.Module, ConvEncoder or None, default=None
        None is an MLP of `hidden_layer_sizes`. A module maps rows of n_features (with
        NaN of 2 * n_features) to rows of 2 * latent_dim, means and log standard
        deviations, as in `VAE`. For a `categorical` other than "exact" it is a
        torch.nn.Sequential that ends in a Linear.
    decoder : torch.nn.Module, ConvDecoder or None, default=None
        None is an MLP of `hidden_layer_sizes` in reverse. A module maps rows of
        latent_dim to rows of n_features, logits or means, as in `VAE`.
    hidden_layer_sizes : array-like of int, default=(200,)
        Widths of the hidden layers; () makes encoder and decoder linear.
    activation : {"relu", "tanh", "logistic", "silu", "gelu", "elu"}, default="relu"
        Of the hidden layers.
    max_epochs : int, default=100
        Passes over the training rows, those of the pretraining included.
    lr : float, default=1e-3
        Learning rate.
    batch_size : int, default=128
        Most rows in a step; a pass is cut into batches of nearly equal size.
    optimizer : {"adam", "adamw", "sgd"} or torch.optim.Optimizer class, default="adam"
        More of its parameters go into `net_params`, as
        ``{"optimizer__weight_decay": 1e-4}``.
    lr_schedule : {"constant", "cosine"}, default="cosine"
        "cosine" lets the learning rate fall to 0 over the steps, and starts again after
        the pretraining; "constant" leaves it alone, or to a skorch LRScheduler among
        the `callbacks`.
    max_grad_norm : float or None, default=None
        Gradients of a larger norm are shortened to it.
    early_stopping : bool, default=False
        True holds out `validation_fraction` of the rows, stops when their bound has not
        improved by `tol` for `n_iter_no_change` epochs after the warm-up, and keeps the
        weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows held out, for early stopping and to choose among restarts.
    n_iter_no_change : int, default=10
        Epochs over which improvement is judged.
    tol : float, default=1e-2
        Improvement, in nats per sample, that counts as one; infinity says that
        `max_epochs` is wanted as it is, without a warning.
    warm_start : bool, default=False
        Go on from the present parameters in the next `fit`, without a new start.
    callbacks : list of skorch callbacks or None, default=None
        Told of every epoch, and of batches where they have a method for batches. One
        that stops the pretraining stops the training.
    device : str, default="cpu"
        "cpu", "cuda", "cuda:1", "mps", or "auto" for the best that is there.
    compile : bool, default=False
        Compile the module with `torch.compile`.
    net_params : dict or None, default=None
        Further parameters of the `skorch.NeuralNet`: "optimizer__...", "compile__..."
        and "verbose".
    random_state : int, RandomState instance or None, default=None
        Determines first weights, starts, batches, noise, and what `sample` draws.
    checkpoint : str, path-like or None, default=None
        File in which `fit` keeps what it has reached, and from which the same fit goes
        on after its process was killed; when it is done, it removes the file.
    verbose : int, default=0
        1 shows a progress bar over the epochs.

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
        The `score` of the held-out rows, a bound tighter than F, for each training of
        the latest fit that started anew, -inf where it diverged; for `n_init=1`
        `lower_bound_`.
    lower_bounds_ : ndarray of shape (n_iter_,)
        The objective of each epoch, a mean over its batches: log p(x|w) in the
        pretraining, then F with beta and free bits; for "gumbel" its relaxation.
    net_ : skorch.NeuralNet
        The trained net: `net_.history`, and `net_.module_` with `encoder`, `decoder`
        and `likelihood`, as in `VAE`.
    noise_ : ndarray of shape (n_features,) or float
        Standard deviations of p(x|w), for a Gaussian likelihood of all columns.
    lower_bound_ : float
        F of the training rows at the returned parameters, beta = 1.
    n_iter_ : int
        Epochs run, those of the pretraining and of continued fits included.
    converged_ : bool
        Whether early stopping ended the training, or the objective had stopped to rise.
    best_epoch_ : int
        With early stopping, the epoch whose weights were kept, counted from 1.
    columns_ : dict
        The kind of each column, by its name or position, where columns have kinds.
    categories_ : dict
        Of each bernoulli and categorical column, where columns have kinds.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

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
        **TrainsInStages._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"diag", "spherical"})],
        "weights": [StrOptions({"uniform", "free"})],
        "categorical": [StrOptions(set(CATEGORICAL))],
        "reg_covar": [Interval(Real, 0.0, None, closed="neither")],
        "pretraining": [Interval(Real, 0.0, 1.0, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
    }
    _architecture = (
        *TrainsInStages._architecture,
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
        n_score_steps=8,
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
        self.n_score_steps = n_score_steps
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

    # Fitting ----------------------------------------------------------------------

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
