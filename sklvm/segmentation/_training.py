"""The parts of the training: decoder, encoder, and the decoder on refined codes."""

import copy

import numpy as np
from tqdm import tqdm

from sklvm._base import largest_magnitude
from sklvm._tasks import watched
from sklvm._warn import warn_user
from sklvm.label_maps._labels import PixelLabels, void_labels
from sklvm.label_maps._model import LabelMapModel
from sklvm.label_maps._shapes import cropped_images
from sklvm.neural._callbacks import ProgressBar
from sklvm.neural._estimator import BaseNeuralEstimator
from sklvm.neural._trace import DivergedError
from sklvm.neural._values import LARGE_VALUE
from sklvm.segmentation._checks import (
    check_images,
    check_label_maps,
    check_same_shapes,
    class_weights,
)
from sklvm.segmentation._learned import LearnedRate
from sklvm.segmentation._model import SegmentationModel
from sklvm.segmentation._networks import fitting_channels
from sklvm.segmentation._phases import DecoderPhase, EncoderPhase
from sklvm.segmentation._rate import ListRate, SubsetRate
from sklvm.segmentation._refine import best_of
from sklvm.segmentation._replay import WEIGHT_RANGE, Replay
from sklvm.segmentation._residual import ResidualModel

# Shares of `max_epochs`: the decoder, then the encoder if it has to have codes of its
# own; the rest finetunes the decoder.
DECODER, ENCODER = 0.65, 0.1
# Fewest training maps that are refined, and the passes over maps that pay for the
# search of one; the most for the finetuning, and in the end for the rate; and the most
# of those whose objective is `lower_bound_`.
LEAST_REFINED, PER_REFINED, MOST_FINETUNED, MOST_RATED, N_MEASURED = 8, 32, 32, 96, 50
# Those of a training that was interrupted.
N_FEW_MAPS = 32


class TrainedInParts(BaseNeuralEstimator):
    """How the networks and the frequencies of P(L) come to fit one another."""

    # Codes are searched for between the steps, a map at a time.
    _trains_together = False

    def _watched(self, X, y, n_parts):
        return watched(self, n_parts, X, images=y)

    def _validate_rows(self, X, y, reset):
        maps = check_label_maps(self, X, reset=reset)
        self._codes_shapes = True if reset else self._codes_shapes
        images, shapes = check_images(self, y, len(maps), reset=reset)
        check_same_shapes(shapes, maps.shapes)
        if images is not None and (largest := largest_magnitude(images)) > LARGE_VALUE:
            warn_user(
                f"images has values up to {largest:g} and networks learn from values of"
                " order one; divide images by that."
            )
        self.class_weight_ = class_weights(
            self.class_weight, self._pixel_labels, maps.maps
        )
        numbers = np.arange(len(maps), dtype=np.int32)
        return np.column_stack([maps.maps.reshape(len(maps), -1), numbers]), images

    def _make_module(self, X, y, generator):
        n_pixels = X.shape[1] - 1
        self.rate_model_ = {
            "list": lambda: ListRate(n_pixels, self.n_classes_),
            "subset": lambda: SubsetRate(n_pixels, self.n_classes_),
            "learned": lambda: LearnedRate(self.image_shape_, self.n_classes_),
        }[self.rate_model]().fit_maps(self._without_void(X[:, :-1]))
        return SegmentationModel(
            self.n_classes_,
            self.image_shape_,
            self.n_image_channels_,
            fitting_channels(self.channels, self.image_shape_),
            self.activation,
            self.distortion_weight,
            has_encoder=self.refine is None,
            generator=generator,
        )

    def _without_void(self, labels):
        return np.where(self._counted(labels), labels, -1)

    def _configure(self, module):
        """Nothing: what may change between two fits, the phases have."""

    def _check_continues(self):
        super()._check_continues()
        self._check_encoder()

    def _n_trainings(self, n_rows):
        return 3 if self.refine is None else 2

    def _train_anew(self, X, y, device, single_epoch):
        self.net_ = self._make_net(X, y, device, self._draw_seed())
        n_decoder = max(1, round(DECODER * self.max_epochs))
        n_left = self.max_epochs - n_decoder
        codes = self._train_decoder(X, y, n_epochs=n_decoder, warms_up=False)
        best_epoch = getattr(self, "best_epoch_", None)
        if self.refine is None:
            n_encoder = max(1, round(ENCODER * self.max_epochs))
            n_left -= n_encoder
            self._train_encoder(X, y, codes, n_epochs=n_encoder, may_stop=False)
        refined = self._refine_training_maps(X, y, MOST_FINETUNED)
        # The moments of what was trained before would push the weights on.
        self.net_._initialize_optimizer()
        self._train_decoder(
            *(X, y, refined),
            n_epochs=max(1, n_left),
            warms_up=False,
            may_stop=False,
            task="finetuning of the decoder",
        )
        if best_epoch is not None:
            self.best_epoch_ = best_epoch

    def _train(self, X, y, *args, **how):
        """A training that goes on is the decoder's."""
        self._train_decoder(X, y, {}, *args, **how)

    def _train_decoder(self, X, y, refined=None, *args, **how):
        """The codes that were come by, and their weights, by the number of the map."""
        maps = X[:, :-1].reshape(-1, *self.image_shape_)
        replay = Replay(
            maps,
            self._counted(maps),
            self.rate_model_,
            self.distortion_weight,
            self.class_weight_,
            refined or {},
        )
        phase = DecoderPhase(self.net_.module, self.class_weight_, replay)
        self._train_phase(phase, X, y, *args, **how)
        if replay.finished:
            self._fit_rate([code for code, _ in replay.finished.values()])
        return replay.finished

    def _train_encoder(self, X, y, examples, **how):
        self.net_._initialize_optimizer()
        phase = EncoderPhase(
            self.net_.module,
            self.class_weight_,
            self.rate_model_,
            self.distortion_weight,
            self.gradient,
            examples,
        )
        self._train_phase(phase, X, y, **how)

    def _train_phase(self, phase, X, y, *args, **how):
        module = self.net_.module
        module.begin(phase)
        how.setdefault("task", f"training of the {phase.network}")
        try:
            super()._train(X, y, *args, **how)
        finally:
            module.end()

    def _make_callbacks(self, *args):
        callbacks = super()._make_callbacks(*args)
        for callback in callbacks:
            if isinstance(callback, ProgressBar):
                callback.desc += f": {self.net_.module.phase.network}"
        return callbacks

    def _refine_training_maps(self, X, y, n_most):
        """Codes of training maps at weights from the whole range, and their rate."""
        rng = np.random.default_rng(self.net_.split_seed_)
        # A first try of few epochs is not to spend its time on searches.
        n_refined = max(LEAST_REFINED, len(X) * self.max_epochs // PER_REFINED)
        rows = rng.permutation(len(X))[: min(n_refined, n_most)]
        factors = WEIGHT_RANGE ** rng.uniform(-1, 1, size=len(rows))
        images = None if y is None else y[rows]
        maps = X[rows, :-1].reshape(-1, *self.image_shape_)
        states = self._search(maps, images, self.distortion_weight * factors)
        codes = [state.code for state in states]
        self._fit_rate(codes)
        return dict(zip(rows.tolist(), codes, strict=True))

    def _fit_rate(self, codes):
        # A copy: a training that goes on and fails leaves the old one as it was.
        rate_model = copy.deepcopy(self.rate_model_)
        self.rate_model_ = rate_model.fit(np.reshape(codes, (len(codes), -1)))

    def _finalize_early(self, X, y):
        """On few maps without a search, which takes its time; P(L) stays as it is."""
        # Training that goes on is the decoder's.
        self.net_._initialize_optimizer()
        few = slice(N_FEW_MAPS)
        self._measure(X[few], None if y is None else y[few], self._cheap_codes)
        self._fit_map_model(X[few], None if y is None else y[few])
        self.converged_ = False

    def _finalize(self, X, y, single_epoch):
        if self.rate_model != "list":
            # Codes of the whole range again, now that the decoder is as it stays.
            self._refine_training_maps(X, y, MOST_RATED)
        few = slice(N_MEASURED)
        self._measure(X[few], None if y is None else y[few], self._search)
        self._fit_map_model(X, y)

    def _cheap_codes(self, labels, images, weights):
        """The states of the best codes of those that P(L) finds cheap."""
        return self._run_searches(
            lambda task, i: best_of(task, task.promising_starts()),
            *(labels, images, weights),
        )

    def _measure(self, X, images, search):
        """F, and what decoded maps leave open, by codes of the maps X."""
        labels = X[:, :-1].reshape(-1, *self.image_shape_)
        weights = np.full(len(labels), self.distortion_weight, dtype=float)
        states = search(labels, images, weights)
        self.lower_bound_ = -float(np.mean([state.objective for state in states]))
        if not np.isfinite(self.lower_bound_):
            raise DivergedError(self.n_iter_, -self.lower_bound_)
        decoded = self._decode(np.stack([state.code for state in states]), images)
        pairs = [_within(*pair) for pair in zip(labels, decoded, strict=True)]
        n_symbols = self._pixel_labels.n_symbols
        residual_model = ResidualModel(n_symbols, self.image_shape_)
        self.residual_model_ = residual_model.fit(*zip(*pairs, strict=True))

    def _fit_map_model(self, X, images):
        """The code of whole maps, without seeds, for lossless streams."""
        maps = X[:, :-1].reshape(-1, *self.image_shape_)
        maps = [_within(labels, labels)[0] for labels in maps]
        if images is not None:
            images = cropped_images(images, self.image_shape_, [m.shape for m in maps])
        model = LabelMapModel(self._pixel_labels.n_symbols, images is not None)
        name = f"{type(self).__name__}: lossless code"
        with tqdm(total=1, desc=name, unit="fit", disable=not self.verbose) as bar:
            self.map_model_ = model.fit(maps, images)
            bar.update()

    def _set_fitted_state(self, state):
        super()._set_fitted_state(state)
        if "n_classes_" in state:
            self.__dict__.setdefault("class_weight_", None)
        if "n_classes_" in state and "_pixel_labels" not in state:
            # Of version 0.1: labels are their own numbers, void is one of them.
            void = void_labels(self.void_class_)
            classes = np.arange(self.n_classes_, dtype=np.int32)
            self._pixel_labels = PixelLabels(classes, void)
            self.classes_, self._map_form = classes, "rows"
            self._codes_shapes = False


def _within(labels, decoded):
    """The parts of two maps where there are pixels: flat labels, -1 where not."""
    labels = labels.reshape(decoded.shape)
    is_pixel = labels >= 0
    height, width = is_pixel.any(axis=1).sum(), is_pixel.any(axis=0).sum()
    return labels[:height, :width], decoded[:height, :width]
