"""Bytes of sparse maps, of what they leave open, and of a checksum."""

import zlib
from contextlib import contextmanager

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklvm.segmentation._checks import (
    check_images,
    check_max_distortion,
    check_streams,
)
from sklvm.segmentation._codec import CodeError, Decoder, Encoder

CHECK_BITS = 16


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
            At most 16 bits (and the checksum's 32) above the rate of the sparse map.
        """
        max_distortion = check_max_distortion(max_distortion)
        labels, images = self._check_rows(X, images)
        states = self._search(labels, images, max_distortion=max_distortion)
        codes = np.stack([state.code for state in states])
        decoded = self._decode(codes, images)
        return [
            self._to_bytes(*maps, 2 * bool(lossless), 1 * bool(checksum))
            for maps in zip(labels.reshape(codes.shape), codes, decoded, strict=True)
        ]

    def _to_bytes(self, labels, code, decoded, lossless, checksum, component=None):
        coder = Encoder()
        coder.uniform(4, lossless + checksum)
        self.rate_model_.walk(coder, code.ravel(), component)
        if lossless:
            self.residual_model_.walk(coder, decoded, labels)
        if checksum:
            for part in _check_sums(code, labels if lossless else decoded):
                coder.uniform(1 << CHECK_BITS, part)
        return coder.finish()

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
        X : ndarray of shape (n_samples, n_pixels), int32
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
        images = check_images(self, images, len(streams), reset=False)
        read = [self._read(number, data) for number, data in enumerate(streams)]
        codes = np.stack([code for code, *_ in read])
        decoded = self._decode(codes, images)
        for number, (code, mode, coder, component) in enumerate(read):
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
        return decoded.reshape(len(decoded), -1)

    def _read(self, number, data):
        if not isinstance(data, bytes | bytearray | memoryview):
            raise ValueError(f"Stream {number} is {type(data).__name__}, not bytes.")
        coder = Decoder(bytes(data))
        with _naming(number):
            mode = coder.uniform(4)
            code, component = self.rate_model_.walk(coder)
            if not self._counted(code).all():
                raise CodeError(f"it has a seed of void_class={self.void_class_}")
        return code.reshape(self.image_shape_), mode, coder, component

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
