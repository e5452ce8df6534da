"""Label maps as bytes, exactly: LabelMapCodec."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sklvm._base import check_sample_weight, unchanged_on_error, weighted_mean
from sklvm._warn import warn_user
from sklvm.label_maps._check_sums import (
    CHECK_BITS,
    check_sum,
    read_check_sum,
    read_one_label,
    shape_check,
    write_check_sum,
    write_one_label,
)
from sklvm.label_maps._images import read_images, warn_of_unit
from sklvm.label_maps._model import LabelMapModel
from sklvm.label_maps._range_coder import CodeError, CodeLength, Decoder, Encoder
from sklvm.label_maps._reading import read_label_maps, refuse_targets
from sklvm.label_maps._shapes import as_form
from sklvm.label_maps._streams import check_streams, naming
from sklvm.state._classes import stateful
from sklvm.state._estimators import FittedStateMixin

# Bits of a side, and the most pixels, of maps of another shape than those of the fit.
SIDE_BITS, MOST_PIXELS = 16, 1 << 24
# Flat rows as long as that are images more often than lines.
LONG_LINE = 256


@stateful
class LabelMapCodec(FittedStateMixin, BaseEstimator):
    r"""Label maps as the fewest bytes, from which they come back exactly.

    Codes a map y of P pixels in

    .. math::

        -\sum_{i=1}^P \log_2 p(y_i \mid y_{<i}, x) + 11

    bits at the most, and those of the checksum, where :math:`y_{<i}` are the labels of
    the pixels before, on wavefronts from the upper left to the lower right, and x is
    the image where `fit` is given images. The probabilities are a mixture of what was
    counted in contexts of many sizes, in the maps of the fit and in the present one,
    with weights that are learned in `fit`. It has no network of torch's.

    Parameters
    ----------
    image_shape : tuple (height, width) or None, default=None
        Shape of the maps of which flat rows of X are made. None is that of the maps,
        and of flat rows, which do not tell it, a single row of pixels.
    n_classes : int or None, default=None
        Labels are 0 to n_classes - 1, seen or not. None takes those that occur in X,
        whatever they are, 4096 at the most.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes_,)
        The labels, sorted, in the dtype of X in `fit`.
    n_classes_ : int
    image_shape_ : tuple (height, width)
        Maps of this shape do not pay for telling it: the largest height and width of
        the maps of the fit.
    n_image_channels_ : int
        0 without images.
    model_ : object
        The integers of which the probabilities are made.
    n_features_in_ : int
        Pixels of a map of that shape.
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Raises
    ------
    ValueError
        If X has labels that are none, or that the fit has not seen; if images are
        missing or of other sizes than their maps; if a stream is not what `encode`
        has written with this model.

    See Also
    --------
    SparseSegmentationRDA : A few labelled pixels in place of all, lossy or not.

    Notes
    -----
    X may be flat rows, maps (n_samples, height, width), or a list of maps (height,
    width), also of different sizes, of whole numbers, booleans or text. What comes out
    of `decode` has the form of `fit`. Maps of other shapes than those of the fit have
    their own in the stream, six bytes, and may have 2^24 pixels: 1,024 x
    2,048 take seconds each way.

    The fitted model and the streams consist of integers, and coding does no other
    arithmetic: the same model, loaded elsewhere, reads the streams. Another model, if
    only another fit to the same maps on a machine that rounds differently, does not:
    save the model beside the streams.

    Counts are taken of the maps and of their mirror images, from left to right. Of more
    than 16 million pixels in the maps of the fit, evenly spaced maps are taken, and
    fewer where more than 4 million pixels have neighbourhoods that differ.

    References
    ----------
    G. N. N. Martin, "Range Encoding: an Algorithm for Removing Redundancy from a
    Digitised Message", 1979. M. V. Mahoney, "Adaptive Weighing of Context Models for
    Lossless Data Compression", 2005. J. Rissanen and G. G. Langdon, "Universal Modeling
    and Coding", 1981.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm import LabelMapCodec
    >>> horizon = np.random.default_rng(0).integers(2, 10, size=100)
    >>> X = (np.arange(12)[:, None] >= horizon[:, None, None]) * np.ones((1, 1, 12))
    >>> X = X.astype(int)
    >>> codec = LabelMapCodec().fit(X[:60])
    >>> streams = codec.encode(X[60:])
    >>> bool((codec.decode(streams) == X[60:]).all())
    True
    >>> max(len(stream) for stream in streams) <= 8
    True
    """

    # Images travel with the maps by metadata routing, without a request by the user.
    __metadata_request__fit = {"images": True}
    __metadata_request__score = {"images": True}

    _parameter_constraints = {
        "image_shape": ["array-like", None],
        "n_classes": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, *, image_shape=None, n_classes=None):
        self.image_shape = image_shape
        self.n_classes = n_classes

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, images=None):
        """Count in the contexts of maps, and learn how to mix what they say.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels) or (n_samples, height, width), \
                or list of arrays of shape (height, width)
            Label of each pixel: whole numbers, booleans or text.
        y : Ignored
        images : array-like of shape (n_samples, n_pixels * n_channels) or \
                (n_samples, height, width, n_channels), or list, default=None
            Numbers of any scale. They are needed again wherever maps are coded.

        Returns
        -------
        self : object
        """
        refuse_targets(y)
        with unchanged_on_error(self):
            maps = read_label_maps(
                self,
                X,
                reset=True,
                image_shape=self.image_shape,
                n_classes=self.n_classes,
                takes_void=False,
            )
            if self.image_shape is None:
                warn_of_lines(maps)
            images = read_images(self, images, maps.shapes, reset=True)
            model = LabelMapModel(self.n_classes_, images is not None)
            self.model_ = model.fit(maps.maps, images)
        return self

    def _read(self, X, images):
        check_is_fitted(self)
        maps = read_label_maps(self, X, reset=False, any_shape=True, takes_void=False)
        for number, shape in enumerate(maps.shapes):
            is_large = shape[0] * shape[1] > MOST_PIXELS or max(shape) > 1 << SIDE_BITS
            if is_large and shape != self.image_shape_:
                raise ValueError(
                    f"X[{number}] has the shape {shape}, and maps of another shape than"
                    f" image_shape_={self.image_shape_} may have {MOST_PIXELS} pixels "
                    f"and sides of {1 << SIDE_BITS}; cut it into tiles."
                )
        return maps.maps, self._read_images(images, maps.shapes)

    def _read_images(self, images, shapes):
        images = read_images(self, images, shapes, reset=False)
        if images is not None:
            ends = [(image.min(), image.max()) for image in images]
            warn_of_unit(self.model_.tones, np.array(ends))
        return images

    # Bytes ----------------------------------------------------------------------------

    def encode(self, X, images=None, *, checksum=True):
        """Bytes from which `decode` has the maps back.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels) or (n_samples, height, width), \
                or list of arrays of shape (height, width)
        images : array-like of shape (n_samples, n_pixels * n_channels) or \
                (n_samples, height, width, n_channels), or list, default=None
        checksum : bool, default=True
            Add 32 bits over the map and the model, so that altered bytes and another
            model's are a ValueError and not another map. Without, 16 bits name the
            model, and altered bytes may pass.

        Returns
        -------
        streams : list of bytes
        """
        maps, images = self._read(X, images)
        checksum, name = bool(checksum), self._name
        coders = [self._begin(labels.shape, checksum) for labels in maps]
        self.model_.walk_all(coders, [labels.shape for labels in maps], maps, images)
        if checksum:
            for coder, labels in zip(coders, maps, strict=True):
                write_check_sum(coder, check_sum(name, labels.shape, labels))
        streams = [coder.stream() for coder in coders]
        for number, labels in enumerate(maps):
            if labels.min() == labels.max():
                coder = self._begin(labels.shape, checksum)
                one = write_one_label(coder, len(self.classes_), name, labels)
                streams[number] = min((streams[number], one), key=len)
        return streams

    def _begin(self, shape, checksum):
        coder = Encoder()
        self._walk_head(coder, shape, checksum)
        return coder

    def decode(self, streams, images=None, *, checksum=True):
        """The maps that `encode` has written.

        Parameters
        ----------
        streams : list of bytes
        images : array-like of shape (n_samples, n_pixels * n_channels) or \
                (n_samples, height, width, n_channels), or list, default=None
        checksum : bool, default=True
            Take none but streams with a checksum. One that a stream has is looked at in
            any case.

        Returns
        -------
        X : ndarray or list
            In the form of `fit`: flat rows, maps (n_samples, height, width), or a list
            of maps; the last where their shapes differ.

        Raises
        ------
        ValueError
            If bytes are not what `encode` writes with this model.
        """
        check_is_fitted(self)
        streams, coders, heads, maps = check_streams(streams), [], [], []
        for number, data in enumerate(streams):
            with naming(number):
                coders.append(Decoder(data))
                heads.append(self._walk_head(coders[-1]))
                if checksum and not heads[-1][1]:
                    raise CodeError("it has no checksum, and checksum=True")
        shapes = [shape for shape, _ in heads]
        images = self._read_images(images, shapes)
        maps = self._maps_of_one_label(coders, shapes)
        rest = [number for number, labels in enumerate(maps) if labels is None]
        read = self.model_.walk_all(
            [coders[i] for i in rest],
            [shapes[i] for i in rest],
            None,
            None if images is None else [images[i] for i in rest],
        )
        for number, labels in zip(rest, read, strict=True):
            with naming(number):
                if heads[number][1]:
                    known = check_sum(self._name, labels.shape, labels)
                    read_check_sum(coders[number], [known], images is not None)
                coders[number].check_end()
            maps[number] = labels
        labels = [self._pixel_labels.labels(labels) for labels in maps]
        is_one = set(shapes) == {self.image_shape_}
        form = "maps" if self._map_form == "rows" and not is_one else self._map_form
        return as_form(form, labels)

    @property
    def _name(self):
        """What streams name the model by."""
        return self.model_.name ^ self._pixel_labels.name

    def _maps_of_one_label(self, coders, shapes):
        """Those that are known to be, None for others."""
        read = len(self.classes_), self._name
        labels = [
            read_one_label(coder, *read, shape)
            for coder, shape in zip(coders, shapes, strict=True)
        ]
        return [
            None if label is None else np.full(shape, label, dtype=np.int32)
            for label, shape in zip(labels, shapes, strict=True)
        ]

    def _walk_head(self, coder, shape=None, checksum=None):
        """Code whether there is a checksum, the model and the shape, or read them."""
        full = self.image_shape_
        mode = None if shape is None else 2 * (shape != full) + checksum
        is_other, checksum = divmod(coder.uniform(4, mode), 2)
        if is_other:
            sides = (None, None) if shape is None else [side - 1 for side in shape]
            shape = tuple(1 + coder.uniform(1 << SIDE_BITS, side) for side in sides)
        else:
            shape = full
        # Of an altered shape nobody is to wait for the map.
        if is_other or not checksum:
            expected = shape_check(self._name, shape, self.model_.stirs_shapes)
            if coder.uniform(1 << CHECK_BITS, expected) != expected:
                raise CodeError("its bytes were altered, or another model wrote it")
        if is_other and (shape[0] * shape[1] > MOST_PIXELS or shape == full):
            raise CodeError(f"it has a map of the shape {shape}")
        return shape, bool(checksum)

    # Code lengths ---------------------------------------------------------------------

    def score_samples(self, X, images=None):
        """log2 p(y | x) of each map: minus its code length, in bits.

        What `encode` adds is left out: its checksum, the shape, and rounding up to
        bytes; and that it tells the label alone of a map of one, if that is shorter.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels) or (n_samples, height, width), \
                or list of arrays of shape (height, width)
        images : array-like of shape (n_samples, n_pixels * n_channels) or \
                (n_samples, height, width, n_channels), or list, default=None

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
        """
        maps, images = self._read(X, images)
        lengths = [CodeLength() for _ in maps]
        self.model_.walk_all(lengths, [labels.shape for labels in maps], maps, images)
        return -np.array([length.bits_used for length in lengths])

    def score(self, X, y=None, sample_weight=None, images=None):
        """Mean of `score_samples`, in bits per map; more is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels) or (n_samples, height, width), \
                or list of arrays of shape (height, width)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the maps in the mean.
        images : array-like of shape (n_samples, n_pixels * n_channels) or \
                (n_samples, height, width, n_channels), or list, default=None

        Returns
        -------
        score : float
        """
        scores = self.score_samples(X, images)
        return weighted_mean(scores, check_sample_weight(sample_weight, scores))


def warn_of_lines(maps):
    """Of long flat rows it may have been forgotten which images they are."""
    n_pixels = maps.shapes[0][1]
    if maps.form == "rows" and n_pixels >= LONG_LINE:
        warn_user(
            f"X has flat rows, taken for maps of one line of {n_pixels} pixels each, "
            "whose codes are longer and slower than those of images; give maps (n, "
            "height, width) or image_shape, (1, width) where they are lines."
        )
