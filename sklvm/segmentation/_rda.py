"""The rate-distortion autoencoder of segmentations."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from sklvm.label_maps._reading import refuse_targets
from sklvm.neural._estimator import BaseNeuralEstimator
from sklvm.segmentation._bytes import SegmentationCodec
from sklvm.segmentation._checks import (
    LEAST_WEIGHT,
    MOST_WEIGHT,
)
from sklvm.segmentation._fitted import FittedSegmentations
from sklvm.segmentation._gradients import GRADIENTS
from sklvm.segmentation._training import TrainedInParts
from sklvm.state._classes import stateful


@stateful
class SparseSegmentationRDA(SegmentationCodec, FittedSegmentations, TrainedInParts):
    r"""Rate-distortion autoencoder of segmentations.

    Compresses a segmentation y, a class at each of P pixels, to a list L of seeds: a
    few pixels with their classes. Minimises the mean over the maps of

    .. math::

        -\ln P(L) + \lambda \, d(y, \hat{y}(x, L)),
        \qquad d = \text{number of wrong pixels}

    where P(L) is a normalised distribution over lists, so that the first term is the
    rate in nats, and the decoder :math:`\hat{y}` sees the seeds and, where `fit` is
    given images, the image x. It is a bound like that of the other models with q(L | y)
    a single code, so H(q) = 0, and :math:`\lambda d` in place of -log p(y | x, L).

    A decoder is trained on codes of all sizes that a search comes by; `transform`
    searches from the blank code and from those that P(L) finds cheap, under the exact
    objective. With ``refine=None`` an encoder is trained against the decoder, and its
    codes are taken. No code is worse than the blank one, unless `max_distortion` asks
    for more seeds than are worth their rate.

    Parameters
    ----------
    image_shape : tuple (height, width) or None, default=None
        Shape of a map, of which a row of X is the flattened form. None is that of the
        maps, the least that all of them fit into where their shapes differ; of flat
        rows, which do not tell it, a single row of pixels.
    n_classes : int or None, default=None
        The labels 0 to n_classes - 1 are the classes, but for void ones, whether or not
        X has them all. None takes the labels that occur in X, whatever they are. There
        may be 4096 classes.
    distortion_weight : float, default=1.0
        lambda, in nats per wrong pixel: how much rate a corrected pixel is worth, from
        1e-30 to 1e30. The search follows its present value, also where that was changed
        after `fit`; the networks have been trained for a tenth to ten times the value
        of the fit.
    rate_model : {"learned", "list", "subset"}, default="learned"
        P(L) for n seeds of k classes. "learned": frequencies of positions and classes
        fitted to the training maps and their codes, a mixture over lattices of seeds
        and loose ones; its codes have many more seeds for fewer bits. "list": each
        entry, or the end, is one of P k + 1 symbols, (n + 1) ln(P k + 1) nats.
        "subset": the positions in no order, -ln pi(n) + ln C(P, n) + n ln k, with pi
        fitted.
    gradient : {"straight_through", "concrete", "reinforce"}, \
            default="straight_through"
        How the encoder of ``refine=None`` is trained through its hard codes: with the
        gradient of the probabilities in place of the code's, with that of a relaxed
        draw, or by the score function with a leave-one-out baseline, without bias.
    refine : {"greedy"} or None, default="greedy"
        Search of `transform`. None trains an encoder, and takes its code, or the blank
        one where that is better: quicker than a search, and far from the best.
    void_class : label, list of labels or None, default=None
        Labels of pixels that have no class, such as 255 or -1, which stand outside of
        `classes_`. Such pixels are never wrong and never seeds, and lossy streams never
        decode to them; lossless ones give each the void label that it had. They stay
        as they were in `fit`, in `void_class_`.
    class_weight : dict, "balanced" or None, default=None
        What a wrong pixel of each class counts for, so that thin and rare ones survive:
        d is the sum of w[y_p] over wrong pixels p. A dict has weights of labels, 1 for
        those that it leaves out; "balanced" n / (k n_c) for the n_c of n pixels of the
        maps of the fit that are of class c, one of k, so that their mean is 1. What the
        fit was given counts, also where the parameter was changed since.
    channels : tuple of int, default=(32, 48, 64, 64)
        Channels of the networks at each level, which are U-Nets; each level has half
        the resolution of the one before, the first half that of the map. Levels that
        a map is too small for are left out.
    activation : {"relu", "tanh", "logistic", "silu", "gelu", "elu"}, default="relu"
        Of the hidden layers.
    warmup : float, default=0.5
        Share of the encoder's steps, with ``refine=None``, over which the weight of the
        distortion falls to its value from ten times that, so that the encoder does not
        begin with blanks.
    max_epochs : int, default=30
        Passes over the training maps: two thirds for the decoder, with ``refine=None``
        a tenth for the encoder, and the rest for the decoder again on refined codes;
        each has one pass at least.
    lr : float, default=2e-3
        Learning rate.
    batch_size : int, default=16
        Most maps in a step.
    optimizer : {"adam", "adamw", "sgd"} or torch.optim.Optimizer class, default="adam"
        More of its parameters go into `net_params`. LBFGS is not for these networks.
    lr_schedule : {"constant", "cosine"}, default="cosine"
        "cosine" lets the learning rate fall to 0 over each of these parts.
    max_grad_norm : float or None, default=1.0
        Gradients of a larger norm are shortened to it.
    early_stopping : bool, default=False
        Hold out `validation_fraction` of the maps in the decoder's first part; stop it
        when their loss has not improved by `tol` for `n_iter_no_change` epochs.
    validation_fraction : float, default=0.1
        Share of the maps held out for early stopping.
    n_iter_no_change : int, default=10
        Epochs over which improvement is judged.
    tol : float, default=1.0
        Improvement, in nats per map, that counts as one; infinity says that
        `max_epochs` is wanted as it is, without a warning.
    warm_start : bool, default=False
        Go on with the decoder's training, for `max_epochs`, in the next `fit`.
    callbacks : list of skorch callbacks or None, default=None
        Told of every epoch. Each part of the training begins and ends for them, so that
        `on_train_begin` comes twice, and three times with an encoder. Its losses are
        another quantity than those of the decoder, and a callback that stops the
        training, as skorch's EarlyStopping, stops one part.
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
        The trained net: `net_.module_` with `decoder` and `encoder`, None where
        `refine` was "greedy".
    rate_model_ : object
        P(L), with `rate(codes)` and `sample(rng)`.
    classes_ : ndarray of shape (n_classes_,)
        The labels, sorted, in the dtype of X in `fit`, which is that of all decoded
        maps. The seeds of a sparse map are numbers of classes, places in this array.
    n_classes_ : int
        Their number, without void.
    void_class_ : label, tuple of labels or None
    class_weight_ : ndarray of shape (n_classes_,) or None
        None without `class_weight`.
    image_shape_ : tuple (height, width)
    n_image_channels_ : int
        0 without images.
    lower_bound_ : float
        Mean of -(rate + distortion_weight * distortion) of training maps, of fifty
        of them at the most.
    lower_bounds_ : ndarray of shape (n_iter_,)
        What each epoch maximised: the decoder's log p(y | x, L) in nats per map, and in
        the encoder's epochs the objective, with the wrong pixels that the decoder
        expects and the weights of its training.
    n_iter_ : int
        Epochs run.
    converged_ : bool
        Whether the last epochs of the decoder's last part did not improve on those
        before by more than `tol` and two standard errors.
    best_epoch_ : int
        With early stopping, the epoch of the first part whose weights were kept.
    n_features_in_ : int
        P.
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Raises
    ------
    ValueError
        If X has anything but labels, or labels that the fit has not seen; if a map has
        more tiles than may be; if images are of another size or are missing; if
        `refine` is None and the fit has trained no encoder.

    See Also
    --------
    sklvm.inspection.RateDistortionDisplay : The curve, with those of simpler codes.

    Notes
    -----
    X may be flat rows, maps (n_samples, height, width), or a list of maps (height,
    width), also of different sizes, of whole numbers, booleans or text. Maps, sparse or
    dense, come out in the form in which they went in, and those of `decode` and
    `sample` in the form of `fit`. Images may be flat rows, (n_samples, height, width,
    channels), or a list of them. A single map of two axes would be read as flat rows:
    give ``X[None]``.

    Maps that are smaller than `image_shape_` are filled up, below and to the right,
    with pixels that never count; their streams hold their shape. `fit` refuses larger
    maps; everything else cuts them into as few even tiles as fit into `image_shape_`,
    each of which is searched for seeds and decoded by itself. Rate and distortion of a
    map are the sums over its tiles, `max_distortion` is shared out among them by what
    they have wrong, and a map has one stream, whose residual and checksum are those of
    the whole map. A map may have 2^24 pixels and 4096 tiles.

    The scores are of one objective, not densities: they compare between models with
    the same `distortion_weight` on the same maps, and not with other estimators. So a
    search over `distortion_weight` by `score` finds the smallest one, whatever it is
    worth; it needs a score at one weight for all, as in the example below. A function
    in `scoring` will do where there are no images, which it is not given.

    `images` travel through a Pipeline or a GridSearchCV by metadata routing, after
    ``sklearn.set_config(enable_metadata_routing=True)``, and are requested already.
    There `sample_weight` needs ``set_score_request(sample_weight=True)`` besides, and
    `max_distortion` needs ``set_transform_request(max_distortion=True)``.

    So that few images are not memorised, the training of the decoder shows them
    from left to right or the other way round together with their maps, in other light
    and with grain, with patches of other images in them, and three in ten not at all.

    References
    ----------
    T. Berger, "Rate Distortion Theory", 1971. J. Balle, V. Laparra and E. P.
    Simoncelli, "End-to-end Optimized Image Compression", ICLR 2017, eq. 9. Y. Bengio,
    N. Leonard and A. Courville, "Estimating or Propagating Gradients Through Stochastic
    Neurons", 2013. W. Kool, H. van Hoof and M. Welling, "Buy 4 REINFORCE Samples, Get a
    Baseline for Free!", 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm import SparseSegmentationRDA
    >>> horizon = np.random.default_rng(0).integers(2, 6, size=30)
    >>> X = (np.arange(8)[:, None] >= horizon[:, None, None]) * np.ones((1, 1, 8))
    >>> X = X.reshape(30, 64)
    >>> rda = SparseSegmentationRDA(image_shape=(8, 8), distortion_weight=2.0,
    ...                             channels=(8,), max_epochs=20, tol=np.inf,
    ...                             random_state=0).fit(X)
    >>> S = rda.transform(X)
    >>> S.shape
    (30, 64)
    >>> bool(rda.rate(S).mean() / np.log(2) < 16)  # bits
    True
    >>> streams = rda.encode(X)
    >>> bool((rda.decode(streams) == rda.inverse_transform(S)).all())
    True

    A search over the weight, with images, that is scored at lambda = 4:

    >>> import sklearn
    >>> from sklearn.model_selection import GridSearchCV
    >>> class ScoredAtFour(SparseSegmentationRDA):
    ...     def score(self, X, y=None, images=None):
    ...         S = self.transform(X, images)
    ...         return -(self.rate(S) + 4.0 * self.distortion(X, S, images)).mean()
    >>> model = ScoredAtFour(image_shape=(8, 8), channels=(8,), max_epochs=1,
    ...                      tol=np.inf, random_state=0)
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     search = GridSearchCV(model, {"distortion_weight": [0.1, 4.0]}, cv=2)
    ...     search = search.fit(X[:12], images=X[:12])
    >>> search.best_params_
    {'distortion_weight': 4.0}
    """

    # Images travel with the maps by metadata routing, without a request by the user.
    __metadata_request__fit = {"images": True}
    __metadata_request__transform = {"images": True}
    __metadata_request__inverse_transform = {"images": True}
    __metadata_request__score = {"images": True}

    _parameter_constraints = {
        **BaseNeuralEstimator._parameter_constraints,
        "image_shape": ["array-like", None],
        "n_classes": [Interval(Integral, 1, None, closed="left"), None],
        "distortion_weight": [Interval(Real, LEAST_WEIGHT, MOST_WEIGHT, closed="both")],
        "rate_model": [StrOptions({"learned", "list", "subset"})],
        "gradient": [StrOptions(set(GRADIENTS))],
        "refine": [StrOptions({"greedy"}), None],
        "void_class": [Real, "boolean", str, "array-like", None],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "channels": ["array-like"],
    }
    _architecture = (
        *("activation", "optimizer", "compile", "net_params", "image_shape"),
        *("n_classes", "rate_model", "void_class", "channels"),
    )

    def __init__(
        self,
        *,
        image_shape=None,
        n_classes=None,
        distortion_weight=1.0,
        rate_model="learned",
        gradient="straight_through",
        refine="greedy",
        void_class=None,
        class_weight=None,
        channels=(32, 48, 64, 64),
        activation="relu",
        warmup=0.5,
        max_epochs=30,
        lr=2e-3,
        batch_size=16,
        optimizer="adam",
        lr_schedule="cosine",
        max_grad_norm=1.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1.0,
        warm_start=False,
        callbacks=None,
        device="cpu",
        compile=False,
        net_params=None,
        random_state=None,
        checkpoint=None,
        verbose=0,
    ):
        self.image_shape = image_shape
        self.n_classes = n_classes
        self.distortion_weight = distortion_weight
        self.rate_model = rate_model
        self.gradient = gradient
        self.refine = refine
        self.void_class = void_class
        self.class_weight = class_weight
        self.channels = channels
        self.activation = activation
        self.warmup = warmup
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    # Fitting --------------------------------------------------------------------------

    def fit(self, X, y=None, images=None):
        """Train the decoder, the rate and, with ``refine=None``, the encoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels) or (n_samples, height, width), \
                or list of arrays of shape (height, width)
            Label of each pixel: whole numbers, booleans or text.
        y : Ignored
        images : array-like of shape (n_samples, n_pixels * n_channels) or \
                (n_samples, height, width, n_channels), or list, default=None
            A row is a flattened (height, width, channels) image; scale it to about one.

        Returns
        -------
        self : object
        """
        refuse_targets(y)
        return self._fit(X, images)

    def fit_transform(self, X, y=None, images=None):
        """`fit`, then `transform` of the same maps."""
        return self.fit(X, y, images).transform(X, images)

    def _check_combinations(self):
        channels = np.ravel(self.channels).tolist()
        if not channels or not all(isinstance(c, int) and c > 0 for c in channels):
            raise ValueError(
                f"channels={self.channels!r} must hold one or more positive integers, "
                "the width of each level."
            )
        optimizer = getattr(self.optimizer, "func", self.optimizer)  # of a partial
        if isinstance(optimizer, type) and issubclass(optimizer, torch.optim.LBFGS):
            raise ValueError(
                f"optimizer={self.optimizer!r} is LBFGS, which cannot train these "
                "networks; set optimizer='adam', 'adamw' or 'sgd'."
            )
