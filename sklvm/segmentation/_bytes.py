"""Bytes of sparse maps, of what they leave open, and of a checksum."""

import zlib
from itertools import pairwise

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklvm.label_maps._range_coder import CodeError, Decoder, Encoder
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
    shape_check,
    windows,
)

CHECK_BITS = 16
# Cumulative frequencies of maps of the shape of the fit, and of others.
OTHER_SHAPE = 0, 255, 256


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
            the code of :class:`LabelMapCodec`, which has no seeds, whichever is
            shorter.
        checksum : bool or None, default=None
            Add 32 bits over the seeds and the map, so that altered bytes, another
            model, or a network that rounds differently, are a ValueError and not
            another map: give `decode` checksum=True as well. None is True for lossless
            streams.

        Returns
        -------
        streams : list of bytes
            At most 16 bits (and the checksum's 32) above the rate of the sparse map;
            where a map is of another shape than `image_shape_`, what its shape takes
            besides, some nine bytes of a larger one.
        """
        max_distortion = check_max_distortion(self, max_distortion)
        checksum = lossless if checksum is None else checksum
        modes = 2 * bool(lossless), 1 * bool(checksum)
        maps, images = self._check_rows(X, images)
        for i, shape in enumerate(maps.shapes):
            self._check_shape(i, shape)
        states = self._search_maps(maps, images, max_distortion=max_distortion)
        codes = np.stack([state.code for state in states])
        decoded = maps.joined(self._decode(codes, images))
        labels, starts = maps.joined(maps.maps), maps.starts
        codes = [codes[i:j] for i, j in pairwise(starts)]
        streams = [
            self._to_bytes(*parts, *modes)
            for parts in zip(labels, codes, decoded, strict=True)
        ]
        if not lossless or not self._has_map_model:
            return streams
        whole = self._whole_to_bytes(labels, images, checksum)
        return [min(pair, key=len) for pair in zip(whole, streams, strict=True)]

    @property
    def _has_map_model(self):
        # Models of version 0.1 have none, and their streams no bit that tells.
        return "map_model_" in vars(self)

    def _to_bytes(self, labels, codes, decoded, lossless, checksum, components=None):
        """A map of the codes of its tiles."""
        coder = self._head(labels.shape, lossless, checksum, is_whole=False)
        components = [None] * len(codes) if components is None else components
        for code, component in zip(codes, components, strict=True):
            self.rate_model_.walk(coder, code.ravel(), component)
        if lossless:
            self.residual_model_.walk(coder, decoded, labels)
        if checksum:
            for part in _check_sums(codes, labels if lossless else decoded):
                coder.uniform(1 << CHECK_BITS, part)
        return coder.finish()

    def _head(self, shape, lossless, checksum, is_whole):
        coder = Encoder()
        coder.uniform(4, lossless + checksum)
        self._walk_shape(coder, shape)
        if lossless and self._has_map_model:
            coder.uniform(2, int(is_whole))
        return coder

    def _whole_to_bytes(self, labels, images, checksum):
        """Maps without seeds, by the model of label maps."""
        model, shapes = self.map_model_, [m.shape for m in labels]
        if images is not None:
            images = self._joined_images(images, shapes)
        coders = [self._head(shape, 2, 1 * bool(checksum), True) for shape in shapes]
        model.walk_all(coders, shapes, labels, images)
        if checksum:
            for coder, each in zip(coders, labels, strict=True):
                for part in model.check_sum(each):
                    coder.uniform(1 << CHECK_BITS, part)
        return [coder.finish() for coder in coders]

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
        expected = shape_check(
            self.map_model_.name if self._has_map_model else 0, shape
        )
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
            If bytes are not what `encode` writes. Altered bytes may be the code of
            another map, unless there is a checksum.
        """
        check_is_fitted(self)
        check_streams(streams)
        images, image_shapes = check_images(
            self, images, len(streams), reset=False, in_tiles=True
        )
        read = [self._read(number, data) for number, data in enumerate(streams)]
        shapes = [shape for shape, *_ in read]
        check_same_shapes(image_shapes, shapes)
        for number, (_, _, mode, *_) in enumerate(read):
            if checksum and not mode & 1:
                with naming(number, streams[number]):
                    raise CodeError("it has no checksum")
        whole = [number for number, (_, code, *_) in enumerate(read) if code is None]
        seeded = [number for number in range(len(read)) if number not in set(whole)]
        tiles = [len(windows(shape, self.image_shape_)) for shape in shapes]
        starts = np.cumsum([0, *tiles])
        decoded = [None] * len(read)
        for read_some, numbers in (
            (self._read_whole, whole),
            (self._read_seeded, seeded),
        ):
            if numbers:
                some = None
                if images is not None:
                    ranges = [np.arange(*starts[i : i + 2]) for i in numbers]
                    some = images[np.concatenate(ranges)]
                parts = [read[i] for i in numbers], some, streams, numbers
                for number, labels in zip(numbers, read_some(*parts), strict=True):
                    decoded[number] = labels
        labels = [self._pixel_labels.labels(m) for m in decoded]
        form = self._map_form
        if form == "rows" and set(shapes) != {self.image_shape_}:
            form = "maps"  # rows of another length would not tell their shape
        return as_form(form, labels)

    def _read_seeded(self, read, images, streams, numbers):
        """The maps of streams with seeds."""
        shapes = [shape for shape, *_ in read]
        codes = np.concatenate([codes for _, codes, *_ in read])
        decoded = self._decode(codes, images)
        decoded = join_all(decoded, shapes, self.image_shape_)
        out = []
        for number, guess, (_, codes, mode, coder, components) in zip(
            numbers, decoded, read, strict=True
        ):
            with naming(number, streams[number]):
                rest = self._read_rest(coder, mode, codes, guess)
                # Given their components, every map has one code only. No float is to
                # decide what is read, so they need not be the likeliest here as well.
                parts = rest, codes, guess, mode & 2, mode & 1, components
                if self._to_bytes(*parts) != streams[number]:
                    raise CodeError("its bytes are not those of the map that it codes")
            out.append(rest)
        return out

    def _read_whole(self, read, images, streams, numbers):
        """The maps of streams without."""
        shapes = [shape for shape, *_ in read]
        if images is not None:
            images = self._joined_images(images, shapes)
        coders = [coder for *_, coder, _ in read]
        maps = self.map_model_.walk_all(coders, shapes, None, images)
        for number, labels, (*_, mode, coder, _) in zip(
            numbers, maps, read, strict=True
        ):
            with naming(number, streams[number]):
                if mode & 1:
                    parts = tuple(coder.uniform(1 << CHECK_BITS) for _ in range(2))
                    if parts != self.map_model_.check_sum(labels):
                        raise CodeError("its checksum is wrong")
                coder.check_end()
        return maps

    def _read(self, number, data):
        with naming(number, data):
            coder = Decoder(bytes(data))
            mode = coder.uniform(4)
            shape = self._walk_shape(coder)
            if mode & 2 and self._has_map_model and coder.uniform(2):
                return shape, None, mode, coder, None
            tiles = windows(shape, self.image_shape_)
            parts = [self._read_tile(coder, window) for window in tiles]
            codes, components = zip(*parts, strict=True)
        return shape, np.stack(codes), mode, coder, components

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

    def _read_rest(self, coder, mode, codes, decoded):
        lossless, checksum = mode & 2, mode & 1
        if lossless:
            decoded = self.residual_model_.walk(coder, decoded)
        if checksum:
            for part in _check_sums(codes, decoded):
                if coder.uniform(1 << CHECK_BITS) != part:
                    raise CodeError("its checksum is wrong")
        return decoded


def _check_sums(codes, labels):
    """Two numbers of 16 bits that depend on every pixel of the codes and the map."""
    parts = [codes, labels]
    if len(codes) > 1:
        parts.append(labels.shape)
    content = [np.ascontiguousarray(part, dtype="<i4") for part in parts]
    return divmod(zlib.crc32(b"".join(content)), 1 << CHECK_BITS)
