"""Bytes of sparse maps, of what they leave open, and of a checksum."""

import zlib
from contextlib import contextmanager

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklvm.label_maps._shapes import as_form, cropped
from sklvm.segmentation._checks import (
    check_images,
    check_max_distortion,
    check_same_shapes,
    check_streams,
)
from sklvm.segmentation._codec import CodeError, Decoder, Encoder

CHECK_BITS = 16
# Cumulative frequencies of maps of the shape of the fit, and of others.
OTHER_SHAPE = 0, 255, 256


class SegmentationCodec:
    """`encode` and `decode` of a fitted model."""

    def encode(
        self, X, images=None, *, max_distortion=None, lossless=False, checksum=False
    ):
        """Bytes from which `decode` has the maps back.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels)
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None
        max_distortion : int or None, default=None
            Add seeds until at most so many pixels are wrong, as `transform` does.
        lossless : bool, default=False
            Add what the decoded map leaves open.
        checksum : bool, default=False
            Add 32 bits over the seeds and the map, so that altered bytes, or a network
            that rounds differently, are a ValueError and not another map: give `decode`
            checksum=True as well.

        Returns
        -------
        streams : list of bytes
            At most 16 bits (and the checksum's 32) above the rate of the sparse map;
            where a map is smaller than `image_shape_`, what its shape takes besides.
        """
        max_distortion = check_max_distortion(max_distortion)
        maps, images = self._check_rows(X, images)
        states = self._search(maps.maps, images, max_distortion=max_distortion)
        codes = np.stack([state.code for state in states])
        decoded = cropped(self._decode(codes, images), maps.shapes)
        labels = cropped(maps.maps, maps.shapes)
        return [
            self._to_bytes(*parts, 2 * bool(lossless), 1 * bool(checksum))
            for parts in zip(labels, codes, decoded, strict=True)
        ]

    def _to_bytes(self, labels, code, decoded, lossless, checksum, component=None):
        coder = Encoder()
        coder.uniform(4, lossless + checksum)
        self._walk_shape(coder, labels.shape)
        self.rate_model_.walk(coder, code.ravel(), component)
        if lossless:
            self.residual_model_.walk(coder, decoded, labels)
        if checksum:
            for part in _check_sums(code, labels if lossless else decoded):
                coder.uniform(1 << CHECK_BITS, part)
        return coder.finish()

    def _walk_shape(self, coder, shape=None):
        """Code the shape of a map, which mostly is that of the fit, or read it."""
        full = self.image_shape_
        if not self._codes_shapes:
            if shape not in (None, full):
                raise ValueError(
                    f"X has a map of the shape {shape} and this model of an earlier "
                    f"version codes maps of {full} only; fit it again."
                )
            return full
        if not coder.choose(OTHER_SHAPE, None if shape is None else shape != full):
            return full
        sides = (None, None) if shape is None else (shape[0] - 1, shape[1] - 1)
        return tuple(
            1 + coder.uniform(n, side) for n, side in zip(full, sides, strict=True)
        )

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
        images, image_shapes = check_images(self, images, len(streams), reset=False)
        read = [self._read(number, data) for number, data in enumerate(streams)]
        shapes = [shape for shape, *_ in read]
        check_same_shapes(image_shapes, shapes)
        codes = np.stack([code for _, code, *_ in read])
        decoded = cropped(self._decode(codes, images), shapes)
        for number, (_, code, mode, coder, component) in enumerate(read):
            with _naming(number):
                if checksum and not mode & 1:
                    raise CodeError("it has no checksum")
                rest = self._read_rest(coder, mode, code, decoded[number])
                # Given its component, every map has one code only. No float is to
                # decide what is read, so it need not be the likeliest here as well.
                parts = rest, code, decoded[number], mode & 2, mode & 1, component
                if self._to_bytes(*parts) != streams[number]:
                    raise CodeError("its bytes are not those of the map that it codes")
                decoded[number] = rest
        labels = [self._pixel_labels.labels(m) for m in decoded]
        form = self._map_form
        if form == "rows" and set(shapes) != {self.image_shape_}:
            form = "maps"  # rows of another length would not tell their shape
        return as_form(form, labels)

    def _read(self, number, data):
        if not isinstance(data, bytes | bytearray | memoryview):
            raise ValueError(f"Stream {number} is {type(data).__name__}, not bytes.")
        coder = Decoder(bytes(data))
        with _naming(number):
            mode = coder.uniform(4)
            shape = self._walk_shape(coder)
            code, component = self.rate_model_.walk(coder)
            code = code.reshape(self.image_shape_)
            if not self._counted(code)[code >= 0].all():
                raise CodeError(f"it has a seed of void_class={self.void_class_}")
            if (code[shape[0] :] >= 0).any() or (code[:, shape[1] :] >= 0).any():
                raise CodeError("it has a seed outside of its map")
        return shape, code, mode, coder, component

    def _read_rest(self, coder, mode, code, decoded):
        lossless, checksum = mode & 2, mode & 1
        if lossless:
            decoded = self.residual_model_.walk(coder, decoded)
        if checksum:
            for part in _check_sums(code, decoded):
                if coder.uniform(1 << CHECK_BITS) != part:
                    raise CodeError("its checksum is wrong")
        return decoded


def _check_sums(code, labels):
    """Two numbers of 16 bits that depend on every pixel of both maps."""
    content = [np.ascontiguousarray(maps, dtype="<i4") for maps in (code, labels)]
    return divmod(zlib.crc32(b"".join(content)), 1 << CHECK_BITS)


@contextmanager
def _naming(number):
    """Say which stream it is whose bytes are not a code."""
    try:
        yield
    except CodeError as error:
        raise ValueError(
            f"Stream {number} is not what encode has written with this model: {error}; "
            "give it as it was written."
        ) from None
