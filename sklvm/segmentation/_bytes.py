"""Bytes of sparse maps, of what they leave open, and of a checksum."""

import zlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklvm.label_maps._check_sums import (
    CHECK_BITS,
    check_sum,
    digest,
    read_check_sum,
    read_one_label,
    shape_check,
    write_check_sum,
    write_one_label,
)
from sklvm.label_maps._range_coder import ZERO, CodeError, Decoder, Encoder
from sklvm.label_maps._shapes import as_form
from sklvm.label_maps._streams import check_streams, naming
from sklvm.segmentation._checks import (
    check_images,
    check_max_distortion,
    check_same_shapes,
)
from sklvm.segmentation._tiles import (
    SIDE_BITS,
    is_larger,
    is_too_large,
    join_all,
    windows,
)

# Cumulative frequencies of maps of the shape of the fit, and of others.
OTHER_SHAPE = 0, 255, 256


@dataclass
class Stream:
    """A stream on its way to a map.

    It has the codes of its tiles and the components that code them, or is the code of
    the whole map, or tells the one label of all pixels.
    """

    number: int
    coder: Decoder
    lossless: bool
    has_checksum: bool
    shape: tuple = None
    is_whole: bool = False
    codes: np.ndarray = None
    components: tuple = None
    labels: np.ndarray = None


class SegmentationCodec:
    """`encode` and `decode` of a fitted model."""

    def encode(
        self, X, images=None, *, max_distortion=None, lossless=False, checksum=None
    ):
        """Bytes from which `decode` has the maps back.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels)
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None
        max_distortion : int or None, default=None
            Add seeds until at most so many pixels are wrong, as `transform` does, with
            `class_weight` so much of their weights.
        lossless : bool, default=False
            The maps themselves: the sparse map and what its decoded map leaves open, or
            the code of :class:`LabelMapCodec`, which has no seeds, or the label of
            a map that has one only, whichever is shortest.
        checksum : bool or None, default=None
            Add 32 bits over the model, the seeds and the map, so that altered bytes,
            another model, or a network that rounds differently, are a ValueError and
            not another map: give `decode` checksum=True as well. None is True for
            lossless streams. Without, many streams of another model are read as other
            maps.

        Returns
        -------
        streams : list of bytes
            At most 16 bits (and the checksum's 32) above the rate of the sparse map;
            where a map is of another shape than `image_shape_`, what its shape takes
            besides, some nine bytes of a larger one.
        """
        max_distortion = check_max_distortion(self, max_distortion)
        checksum = lossless if checksum is None else checksum
        lossless, checksum = bool(lossless), bool(checksum)
        maps, images = self._check_rows(X, images)
        for i, shape in enumerate(maps.shapes):
            self._check_shape(i, shape)
        states = self._search_maps(maps, images, max_distortion=max_distortion)
        codes = np.stack([state.code for state in states])
        decoded = maps.joined(self._decode(codes, images))
        labels, starts = maps.joined(maps.maps), maps.starts
        codes = [codes[i:j] for i, j in pairwise(starts)]
        name = self._name() if lossless or checksum else None
        streams = []
        for true, code, guess in zip(labels, codes, decoded, strict=True):
            out = true if lossless else guess
            numbers = check_sum(name, out.shape, code, out) if checksum else None
            streams.append(self._to_bytes(true, code, guess, lossless, numbers))
        if not lossless:
            return streams
        if self._has_map_model:
            whole = self._whole_to_bytes(labels, images, checksum, name)
            streams = [min(pair, key=len) for pair in zip(whole, streams, strict=True)]
        for number, one in self._ones_to_bytes(labels, checksum, name).items():
            streams[number] = min((streams[number], one), key=len)
        return streams

    def _name(self):
        """32 bits that a model which decodes otherwise hardly has."""
        labels = self._pixel_labels
        map_name = self.map_model_.name if self._has_map_model else 0
        decoder = self._fitted_module()[0].decoder.state_dict().values()
        return digest(
            [
                [*self.image_shape_, labels.name, map_name, *labels.void_numbers],
                *self.rate_model_.integers(),
                *self.residual_model_.table.integers(),
                *(weights.cpu().numpy() for weights in decoder),
            ]
        )

    @property
    def _has_map_model(self):
        # Models of version 0.1 have none, and their streams no bit that tells.
        return "map_model_" in vars(self)

    def _to_bytes(self, labels, codes, decoded, lossless, numbers, components=None):
        """A map of the codes of its tiles; `numbers` are a checksum or None."""
        coder = self._head(labels.shape, lossless, numbers is not None)
        self._walk_is_whole(coder, lossless, 0)
        components = [None] * len(codes) if components is None else components
        for code, component in zip(codes, components, strict=True):
            self.rate_model_.walk(coder, code.ravel(), component)
        if lossless:
            self.residual_model_.walk(coder, decoded, labels)
        if numbers is not None:
            write_check_sum(coder, numbers)
        return coder.stream()

    def _head(self, shape, lossless, checksum):
        coder = Encoder()
        coder.uniform(4, 2 * lossless + checksum)
        self._walk_shape(coder, shape)
        return coder

    def _walk_is_whole(self, coder, lossless, is_whole=None):
        """Code whether a map has no seeds, or read it."""
        return lossless and self._has_map_model and coder.uniform(2, is_whole)

    def _whole_to_bytes(self, labels, images, checksum, name):
        """Maps without seeds, by the model of label maps."""
        shapes = [m.shape for m in labels]
        if images is not None:
            images = self._joined_images(images, shapes)
        coders = [self._head(shape, True, checksum) for shape in shapes]
        for coder in coders:
            self._walk_is_whole(coder, True, 1)
        self.map_model_.walk_all(coders, shapes, labels, images)
        if checksum:
            for coder, each in zip(coders, labels, strict=True):
                write_check_sum(coder, check_sum(name, each.shape, each))
        return [coder.stream() for coder in coders]

    def _ones_to_bytes(self, labels, checksum, name):
        """The streams of maps of one label, which is all that they tell."""
        n_symbols = self._pixel_labels.n_symbols
        return {
            number: write_one_label(
                self._head(each.shape, True, checksum), n_symbols, name, each
            )
            for number, each in enumerate(labels)
            if each.min() == each.max()
        }

    def _joined_images(self, images, shapes):
        """The images (H, W, C) of maps, from flat ones of their tiles."""
        tiles = images.reshape(len(images), *self.image_shape_, -1)
        return join_all(tiles, shapes, self.image_shape_)

    def _check_shape(self, number, shape):
        if not self._codes_shapes and shape != self.image_shape_:
            raise ValueError(
                f"X[{number}] has the shape {shape} and this model of an earlier "
                f"version codes maps of {self.image_shape_} only; fit it again."
            )

    def _walk_shape(self, coder, shape=None):
        """Code the shape of a map, which mostly is that of the fit, or read it."""
        full = self.image_shape_
        if not self._codes_shapes:
            return full
        if not coder.choose(OTHER_SHAPE, None if shape is None else shape != full):
            return full
        # Of no other map the sides are those of the fit: they say that it is larger.
        large = shape is not None and is_larger(shape, full)
        sides = (None, None)
        if shape is not None:
            sides = [side - 1 for side in (full if large else shape)]
        read = tuple(
            1 + coder.uniform(n, side) for n, side in zip(full, sides, strict=True)
        )
        return self._walk_large(coder, shape) if read == full else read

    def _walk_large(self, coder, shape=None):
        sides = (None, None) if shape is None else [side - 1 for side in shape]
        shape = tuple(1 + coder.uniform(1 << SIDE_BITS, side) for side in sides)
        # Of an altered shape nobody is to wait for the map.
        named = (0, False)
        if self._has_map_model:
            named = self.map_model_.name, self.map_model_.stirs_shapes
        expected = shape_check(named[0], shape, named[1])
        if coder.uniform(1 << CHECK_BITS, expected) != expected:
            raise CodeError("its bytes were altered, or another model wrote it")
        full = self.image_shape_
        if not is_larger(shape, full) or is_too_large(shape, full):
            raise CodeError(f"it has a map of the shape {shape}")
        return shape

    def decode(self, streams, images=None, *, checksum=False):
        """The maps that `encode` has written.

        Parameters
        ----------
        streams : list of bytes
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None
        checksum : bool, default=False
            Take none but streams with a checksum. One that a stream has is looked at in
            any case; but altered bytes may look like a stream without.

        Returns
        -------
        X : ndarray of shape (n_samples, n_pixels), or in the form of `fit`
            What `inverse_transform` gives, or the maps themselves where they were
            written with `lossless=True`.

        Raises
        ------
        ValueError
            If bytes are not what `encode` writes. Altered bytes, and those of another
            model, may be the code of another map, unless there is a checksum.
        """
        check_is_fitted(self)
        streams, name = check_streams(streams), self._name()
        images, image_shapes = check_images(
            self, images, len(streams), reset=False, in_tiles=True
        )
        read = [
            self._read(number, data, name, checksum)
            for number, data in enumerate(streams)
        ]
        shapes = [each.shape for each in read]
        check_same_shapes(image_shapes, shapes)
        tiles = [len(windows(shape, self.image_shape_)) for shape in shapes]
        starts = np.cumsum([0, *tiles])
        for read_some, some in (
            (self._read_whole, [each for each in read if each.is_whole]),
            (self._read_seeded, [each for each in read if each.codes is not None]),
        ):
            if some:
                beside = None
                if images is not None:
                    ranges = [np.arange(*starts[e.number : e.number + 2]) for e in some]
                    beside = images[np.concatenate(ranges)]
                read_some(some, beside, name)
        labels = [self._pixel_labels.labels(each.labels) for each in read]
        form = self._map_form
        if form == "rows" and set(shapes) != {self.image_shape_}:
            form = "maps"  # rows of another length would not tell their shape
        return as_form(form, labels)

    def _read_seeded(self, read, images, name):
        """The maps of streams with seeds."""
        codes = np.concatenate([each.codes for each in read])
        decoded = self._decode(codes, images)
        decoded = join_all(decoded, [each.shape for each in read], self.image_shape_)
        for each, guess in zip(read, decoded, strict=True):
            with naming(each.number):
                labels, numbers = guess, None
                if each.lossless:
                    labels = self.residual_model_.walk(each.coder, guess)
                if each.has_checksum:
                    known = [
                        check_sum(name, labels.shape, each.codes, labels),
                        _former_check_sum(each.codes, labels),
                    ]
                    numbers = read_check_sum(each.coder, known, images is not None)
                # Given their components, every map has one code only. No float is to
                # decide what is read, so they need not be the likeliest here as well.
                parts = labels, each.codes, guess, each.lossless, numbers
                if self._to_bytes(*parts, each.components) != (each.coder.data or ZERO):
                    raise CodeError("its bytes are not those of the map that it codes")
            each.labels = labels

    def _read_whole(self, read, images, name):
        """The maps of streams without."""
        shapes = [each.shape for each in read]
        if images is not None:
            images = self._joined_images(images, shapes)
        coders, model = [each.coder for each in read], self.map_model_
        maps = model.walk_all(coders, shapes, None, images)
        for each, labels in zip(read, maps, strict=True):
            with naming(each.number):
                if each.has_checksum:
                    # Streams of earlier versions name a part of the model.
                    names = name, model.name
                    known = [check_sum(n, labels.shape, labels) for n in names]
                    read_check_sum(each.coder, known, images is not None)
                each.coder.check_end()
            each.labels = labels

    def _read(self, number, data, name, checksum):
        """What can be read of a stream without its map."""
        with naming(number):
            coder = Decoder(data)
            lossless, has_checksum = divmod(coder.uniform(4), 2)
            read = Stream(number, coder, bool(lossless), bool(has_checksum))
            if checksum and not has_checksum:
                raise CodeError("it has no checksum")
            read.shape = self._walk_shape(coder)
            if lossless:
                n_symbols = self._pixel_labels.n_symbols
                label = read_one_label(coder, n_symbols, name, read.shape)
                if label is not None:
                    read.labels = np.full(read.shape, label, dtype=np.int32)
                    return read
            read.is_whole = bool(self._walk_is_whole(coder, lossless))
            if not read.is_whole:
                tiles = windows(read.shape, self.image_shape_)
                parts = [self._read_tile(coder, window) for window in tiles]
                codes, read.components = zip(*parts, strict=True)
                read.codes = np.stack(codes)
        return read

    def _read_tile(self, coder, window):
        """The code (H, W) of one tile, and its component."""
        code, component = self.rate_model_.walk(coder)
        code = code.reshape(self.image_shape_)
        if not self._counted(code)[code >= 0].all():
            raise CodeError(f"it has a seed of void_class={self.void_class_}")
        height, width = (side.stop - side.start for side in window)
        if (code[height:] >= 0).any() or (code[:, width:] >= 0).any():
            raise CodeError("it has a seed outside of its map")
        return code, component


def _former_check_sum(codes, labels):
    """The numbers of streams of earlier versions, which do not name the model."""
    parts = [codes, labels]
    if len(codes) > 1:
        parts.append(labels.shape)
    content = [np.ascontiguousarray(part, dtype="<i4") for part in parts]
    return divmod(zlib.crc32(b"".join(content)), 1 << CHECK_BITS)
