"""What a fitted `SparseSegmentationRDA` answers."""

from itertools import chain

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from sklvm._base import (
    check_count,
    check_sample_weight,
    private_random_state,
    weighted_mean,
)
from sklvm.label_maps._shapes import as_form
from sklvm.segmentation._checks import (
    check_codes,
    check_images,
    check_label_maps,
    check_max_distortion,
    check_output,
    check_same_shapes,
    check_weights,
)
from sklvm.segmentation._decoding import FittedNetworks, decoder
from sklvm.segmentation._refine import (
    Task,
    best_of,
    objective,
    pixel_weights,
    refine,
    run,
    until_distortion,
)


class FittedSegmentations(OneToOneFeatureMixin, TransformerMixin):
    """Codes, maps, rates and bytes of a fitted model."""

    # Decoding and searching -----------------------------------------------------------

    def _counted(self, labels):
        """Where an error counts, of maps of numbers: neither void nor outside."""
        return self._pixel_labels.counted(labels)

    def _networks(self):
        return FittedNetworks(*self._fitted_module())

    def _decode(self, codes, images):
        """Dense maps (n, H, W) of codes (n, H, W)."""
        return self._networks().decoded(codes, images)

    def _own_codes(self, labels, images, weights):
        """The codes of the encoder itself: seeds that are likelier than not."""
        self._check_encoder()
        logits = self._networks().seed_logits(labels, images, weights)
        return np.where((logits > 0) & self._counted(labels), labels, -1)

    def _check_encoder(self):
        if self.refine is None and self.net_.module.encoder is None:
            raise ValueError(
                "refine=None takes the codes of the encoder, and this "
                f"{type(self).__name__} was fitted with refine='greedy', which trains "
                "none; set refine='greedy', or fit again."
            )

    def _search_maps(self, maps, images, weight=None, max_distortion=None):
        """The states of the codes of all tiles of `Maps`."""
        weight = self.distortion_weight if weight is None else weight
        weights = np.full(len(maps.maps), weight, dtype=float)
        states = self._search(maps.maps, images, weights)
        if max_distortion is None:
            return states
        distortions = np.array([state.distortion for state in states], dtype=float)
        limits = maps.limits(max_distortion, distortions)
        above = np.flatnonzero(distortions > limits)
        if not len(above):
            return states

        def until(task, i):
            return until_distortion(task, states[above[i]], limits[above[i]])

        parts = maps.maps[above], None if images is None else images[above]
        for i, state in zip(
            above, self._run_searches(until, *parts, weights[above]), strict=True
        ):
            states[i] = state
        return states

    def _search(self, labels, images, weights):
        """The states of the codes of maps (n, H, W), found as `refine` says."""
        parts = labels, images, weights
        if self.refine is not None:
            return self._run_searches(lambda task, i: refine(task), *parts)
        own = self._own_codes(*parts)
        return self._run_searches(lambda task, i: best_of(task, [own[i]]), *parts)

    def _run_searches(self, begin, labels, images, weights):
        """The states that searches of maps (n, H, W) end with: `begin(task, i)`."""
        networks, blank = self._networks(), None
        if images is None:
            blank = networks.decoded(
                np.full((1, *self.image_shape_), -1, np.int32), None
            )

        def search(rows):
            searches = [
                begin(self._task(labels[i], weights[i]), i)
                for i in range(rows.start, rows.stop)
            ]
            beside = None if images is None else images[rows]
            return run(searches, decoder(networks, beside, blank))

        name = f"{type(self).__name__}: search of codes" if self.verbose else None
        return list(
            chain.from_iterable(networks.over_blocks(search, len(labels), name))
        )

    def _task(self, labels, weight):
        parts = labels, self._counted(labels), self.rate_model_
        return Task(*parts, weight, self.class_weight_)

    def _check_rows(self, X, images):
        """X as `Maps`, and flat images or None."""
        check_is_fitted(self)
        self._validate_params()
        maps = check_label_maps(self, X, reset=False, in_tiles=True)
        images, shapes = check_images(
            self, images, len(maps), reset=False, in_tiles=True
        )
        check_same_shapes(shapes, maps.shapes)
        return maps, images

    def _check_codes(self, S, images):
        """Sparse maps as `Maps`, and flat images or None."""
        check_is_fitted(self)
        codes = check_codes(self, S)
        images, shapes = check_images(
            self, images, len(codes), reset=False, in_tiles=True
        )
        check_same_shapes(shapes, codes.shapes)
        return codes, images

    # Codes and maps -------------------------------------------------------------------

    def transform(self, X, images=None, max_distortion=None):
        """Sparse maps: the seeds that were found to be worth their rate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels)
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None
            Where `fit` had them.
        max_distortion : int or None, default=None
            Add seeds until at most so many pixels are wrong; with `class_weight` any
            number, that the weights of the wrong pixels add up to at most.

        Returns
        -------
        S : ndarray of shape (n_samples, n_pixels), int32, or in the form of X
            At each seed the number of its class, its place in `classes_`; -1 for blank.
        """
        max_distortion = check_max_distortion(self, max_distortion)
        maps, images = self._check_rows(X, images)
        check_output(self, maps.form)
        states = self._search_maps(maps, images, max_distortion=max_distortion)
        return maps.as_given(np.stack([state.code for state in states]))

    def inverse_transform(self, S, images=None):
        """Dense maps; the seeds stay as they are.

        Parameters
        ----------
        S : array-like of shape (n_samples, n_pixels)
            Sparse maps as `transform` gives them, -1 for blank, in any of the forms of
            X.
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None

        Returns
        -------
        X : ndarray of shape (n_samples, n_pixels), or in the form of S
            Labels, in the dtype of `classes_`.
        """
        codes, images = self._check_codes(S, images)
        return codes.as_given(
            self._pixel_labels.labels(self._decode(codes.maps, images))
        )

    def sample(self, n_samples=1, images=None):
        """Draw lists of seeds from P(L) and decode them.

        Parameters
        ----------
        n_samples : int, default=1
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None
            Where `fit` had them.

        Returns
        -------
        X : ndarray of shape (n_samples, n_pixels), or in the form of `fit`
        S : ndarray of shape (n_samples, n_pixels), int32, or the same
            The sparse maps that were drawn.
        """
        check_is_fitted(self)
        n_samples = check_count("n_samples", n_samples)
        # The second number: the first one has started the training.
        rng = private_random_state(self.random_state)
        rng = np.random.default_rng(rng.randint(np.iinfo(np.int32).max, size=2)[1])
        S = np.stack([self.rate_model_.sample(rng) for _ in range(n_samples)])
        S[~self._counted(S)] = -1
        S = as_form(self._map_form, list(S.reshape(-1, *self.image_shape_)))
        return self.inverse_transform(S, images), S

    # The objective --------------------------------------------------------------------

    def rate(self, S):
        """-ln P(L) of sparse maps, in nats.

        Parameters
        ----------
        S : array-like of shape (n_samples, n_pixels)

        Returns
        -------
        rate : ndarray of shape (n_samples,), float64
        """
        check_is_fitted(self)
        codes = check_codes(self, S)
        tiles = codes.maps.reshape(len(codes.maps), -1)
        return codes.sums(self.rate_model_.rate(tiles))

    def distortion(self, X, S, images=None):
        """Number of pixels, void ones apart, at which the decoded S is not X.

        With `class_weight` the sum of what they count for.

        Parameters
        ----------
        X, S : array-like of shape (n_samples, n_pixels)
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None

        Returns
        -------
        distortion : ndarray of shape (n_samples,), int64, or float64 of weights
        """
        maps, _ = self._check_rows(X, images)
        codes, images = self._check_codes(S, images)
        if codes.shapes != maps.shapes:
            raise ValueError(
                f"S has {len(codes)} rows and X has {len(maps)}, or their maps have "
                "other shapes; give a sparse map for each map."
            )
        decoded = self._decode(codes.maps, images)
        counted = self._counted(maps.maps)
        wrong = (decoded != maps.maps) & counted
        if self.class_weight_ is not None:
            wrong = wrong * pixel_weights(maps.maps, counted, self.class_weight_)
        return maps.sums(wrong.sum(axis=(1, 2)))

    def score_samples(self, X, images=None):
        """-(rate + distortion_weight * distortion) of each map, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels)
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
        """
        maps, images = self._check_rows(X, images)
        states = self._search_maps(maps, images)
        return -maps.sums(np.array([objective(state) for state in states], dtype=float))

    def score(self, X, y=None, sample_weight=None, images=None):
        """Mean of `score_samples`, in nats per map.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the maps in the mean.
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None

        Returns
        -------
        score : float
        """
        scores = self.score_samples(X, images)
        return weighted_mean(scores, check_sample_weight(sample_weight, scores))

    def rate_distortion_curve(self, X, distortion_weights, images=None):
        """Rate and distortion at several weights, with the networks as they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_pixels)
        distortion_weights : array-like of shape (n_weights,)
            Nats per wrong pixel; the training covers a tenth to ten times its own.
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None

        Returns
        -------
        curve : Bunch of arrays of shape (n_weights,)
            distortion_weight; rate, the mean nats per map; distortion, the mean of
            `distortion`; bits_per_pixel; error, the share of wrong pixels, void apart,
            whatever their weights.
        """
        maps, images = self._check_rows(X, images)
        weights = check_weights(distortion_weights)
        rate, distortion, n_wrong = [], [], []
        for weight in weights:
            states = self._search_maps(maps, images, weight)
            wrong = np.array([state.distortion for state in states])
            objectives = np.array([objective(state) for state in states])
            rate.append(maps.sums(objectives - weight * wrong).mean())
            distortion.append(maps.sums(wrong).mean())
            n_wrong.append(sum(state.wrong.sum() for state in states) / len(maps))
        rate, distortion = np.array(rate), np.array(distortion)
        n_counted = self._counted(maps.maps).sum() / len(maps)
        return Bunch(
            distortion_weight=np.array(weights),
            rate=rate,
            distortion=distortion,
            bits_per_pixel=rate / np.log(2) / maps.n_pixels().mean(),
            error=np.array(n_wrong) / (n_counted or 1),  # void alone is never wrong
        )
