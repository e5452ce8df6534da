"""Features of several kinds side by side."""

import numpy as np
import torch
from scipy.sparse import hstack, issparse
from torch import nn

from sklvm.autoencoder.likelihoods._base import Likelihood, LinearPart
from sklvm.autoencoder.likelihoods._own import start_of
from sklvm.state._classes import stateful


@stateful
class Blocks(Likelihood):
    r"""Features of several kinds: :math:`\log p(x|z) = \sum_b \log p_b(x_b|z)`.

    The outputs, and what the encoder reads, are those of the blocks, side by side.

    Parameters
    ----------
    blocks : list of (Likelihood, array-like of int)
        A family and the positions of the features that it is of. Each feature is in
        one block.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm import VAE
    >>> from sklvm.autoencoder import Blocks, Gaussian, Poisson
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=500)
    >>> X = np.column_stack([z + 0.1 * rng.normal(size=500), rng.poisson(np.exp(z))])
    >>> likelihood = Blocks([(Gaussian(), [0]), (Poisson(), [1])])
    >>> vae = VAE(latent_dim=1, likelihood=likelihood, max_epochs=20, tol=np.inf,
    ...           random_state=0).fit(X)
    >>> vae.sample(3)[0].shape
    (3, 2)
    """

    def __init__(self, blocks):
        super().__init__()
        for block in blocks:
            if not isinstance(block, tuple | list) or not isinstance(
                block[0], Likelihood
            ):
                raise ValueError(
                    f"blocks has the entry {block!r}; give pairs of a likelihood such "
                    "as Gaussian() and the positions of its features."
                )
        self.parts = nn.ModuleList(part for part, _ in blocks)
        self.columns = [_positions(columns) for _, columns in blocks]
        order = np.concatenate([*self.columns, np.zeros(0, dtype=np.intp)])
        if not len(order) or not np.array_equal(np.sort(order), np.arange(len(order))):
            raise ValueError(
                f"blocks names the features {np.sort(order).tolist()}; name each of "
                "the positions 0, 1, ... in one block."
            )
        # On the device: the positions, and where each feature is in the blocks' order.
        for b, at in enumerate(self.columns):
            self.register_buffer(f"_at_{b}", torch.from_numpy(at))
        self.register_buffer("_back", torch.from_numpy(np.argsort(order)))

    def _positions(self):
        return [getattr(self, f"_at_{b}") for b in range(len(self.parts))]

    def _each(self, x, outputs, observed=None):
        """(part, x, outputs, observed) of every block."""
        outputs = self._outputs(outputs)
        for part, at, own in zip(self.parts, self._positions(), outputs, strict=True):
            shown = None if observed is None else observed.index_select(-1, at)
            yield part, x.index_select(-1, at), own, shown

    def _sizes(self):
        return [(p, len(at)) for p, at in zip(self.parts, self.columns, strict=True)]

    def _outputs(self, outputs):
        """The part of the decoder's numbers that belongs to each block."""
        return outputs.split([part.width(n) for part, n in self._sizes()], -1)

    def _of_data(self, X):
        """(part, X) of every block, for arrays."""
        return [(p, X[:, at]) for p, at in zip(self.parts, self.columns, strict=True)]

    def check(self, X):
        n = len(self._back)
        if X.shape[1] != n:
            raise ValueError(
                f"likelihood=Blocks(...) names {n} features and {self.data_name} has "
                f"{X.shape[1]}; name each feature in one block."
            )
        for part, own in self._of_data(X):
            part.data_name, part.bits_remedy = self.data_name, self.bits_remedy
            part.check(own)

    def impossible(self, X):
        mask = np.zeros(X.shape, dtype=bool)
        for at, (part, own) in zip(self.columns, self._of_data(X), strict=True):
            mask[:, at] = part.impossible(own)
        return mask

    def warn(self, X):
        for part, own in self._of_data(X):
            part.warn(own)

    def why_diverged(self, X):
        causes = (part.why_diverged(own) for part, own in self._of_data(X))
        return next(filter(None, causes), None)

    def is_any_distribution(self, n_features):
        return len(self.parts) == 1 and self.parts[0].is_any_distribution(n_features)

    def width(self, n_features):
        return sum(part.width(n) for part, n in self._sizes())

    def n_inputs(self, n_features):
        return sum(part.n_inputs(n) for part, n in self._sizes())

    def start(self, X):
        starts = [start_of(part, own) for part, own in self._of_data(X)]
        return torch.cat([torch.as_tensor(start) for start in starts])

    def features(self, x, observed=None):
        features = []
        for part, at in zip(self.parts, self._positions(), strict=True):
            shown = None if observed is None else observed.index_select(-1, at)
            features.append(part.features(x.index_select(-1, at), shown))
        return torch.cat(features, -1)

    def _in_order(self, parts):
        """One entry for each feature, from the blocks' order to that of x."""
        return torch.cat(parts, -1).index_select(-1, self._back)

    def log_prob(self, x, outputs):
        each = self._each(x, outputs)
        return self._in_order([part.log_prob(own, out) for part, own, out, _ in each])

    def log_conditional(self, x, outputs, observed=None):
        each = self._each(x, outputs, observed)
        return sum(p.log_conditional(own, out, shown) for p, own, out, shown in each)

    def mean(self, outputs):
        """The means of the blocks, side by side in their order."""
        pairs = zip(self.parts, self._outputs(outputs), strict=True)
        return torch.cat([part.mean(own) for part, own in pairs], -1)

    def n_means(self, n_features):
        return sum(part.n_means(n) for part, n in self._sizes())

    def decide(self, mean):
        means = mean.split([p.n_means(n) for p, n in self._sizes()], -1)
        return self._in_order(
            [part.decide(own) for part, own in zip(self.parts, means, strict=True)]
        )

    def probabilities(self, outputs, j):
        """Those of the categories of feature j, which is bernoulli or categorical."""
        pairs = zip(self.parts, self.columns, self._outputs(outputs), strict=True)
        for part, at, own in pairs:
            if j in at:
                return part.probabilities(own, at.tolist().index(j))

    def sample(self, outputs, generator):
        pairs = zip(self.parts, self._outputs(outputs), strict=True)
        return self._in_order([part.sample(own, generator) for part, own in pairs])

    def n_errors(self, n_features):
        return sum(part.n_errors(n) for part, n in self._sizes())

    def errors(self, x, outputs, observed):
        each = self._each(x, outputs, observed)
        return torch.cat([part.errors(*own) for part, *own in each], -1)

    def set_noise(self, sums):
        ends = np.cumsum([part.n_errors(n) for part, n in self._sizes()])
        for part, own in zip(self.parts, np.split(sums, ends[:-1]), strict=True):
            if len(own):
                part.set_noise(own)

    def adapt(self, x, outputs, observed, weights):
        for part, own, out, shown in self._each(x, outputs, observed):
            part.adapt(own, out, shown, weights)

    def numbers(self, X):
        return np.hstack([part.numbers(own) for part, own in self._of_data(X)])

    def linear_part(self, X):
        found, first_input, first_output = [], 0, 0
        triples = zip(self._of_data(X), self.columns, self._sizes(), strict=True)
        for (part, own), at, (_, n) in triples:
            linear = part.linear_part(own)
            if linear is not None:
                linear.inputs = linear.inputs + first_input
                linear.outputs = linear.outputs + first_output
                linear.features = at[linear.features]
                found.append(linear)
            first_input += part.n_inputs(n)
            first_output += part.width(n)
        if not found:
            return None
        values = [linear.values for linear in found]
        is_sparse = any(map(issparse, values))
        values = hstack(values, "csr") if is_sparse else np.hstack(values)
        places = [
            np.concatenate([getattr(linear, name) for linear in found])
            for name in ("inputs", "outputs", "features")
        ]
        return LinearPart(values, *places)

    def start_noise(self, variance, outputs):
        actual, first = [], 0
        widths = [part.width(n) for part, n in self._sizes()]
        pieces = zip(self.parts, self._sizes(), outputs.split(widths), strict=True)
        for part, (_, n), own in pieces:
            if part.is_real:
                actual.append(part.start_noise(variance[first : first + n], own))
                first += n
        return np.concatenate(actual)


def _positions(columns):
    positions = np.atleast_1d(np.asarray(columns))
    if positions.dtype == bool:
        return np.flatnonzero(positions)
    if positions.dtype.kind not in "iu":
        raise ValueError(
            f"blocks has the columns {columns!r}; give the positions of features."
        )
    return positions.astype(np.intp)
