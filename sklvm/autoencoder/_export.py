"""Encoders and decoders in files that run without this package."""

import importlib
import io
import logging
import os
from abc import ABC, abstractmethod
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sklvm._devices import cpu_by_default
from sklvm.autoencoder._graphs import (
    ConditionalDecoder,
    ConditionalEncoder,
    Decoder,
    Encoder,
    form_of,
)
from sklvm.state._file import write_whole

# Rows on which a file is compared with the estimator. A runtime adds up in another
# order than torch: by so much, beside the largest value, may they differ.
N_CHECKED, TOLERANCE = 8, 1e-4


class Exports(ABC):
    """`export_encoder` and `export_decoder` of a fitted autoencoder."""

    @abstractmethod
    def _encoder_graph(self):
        """The encoder as a module, its inputs for a few rows, and what it is to give.

        The inputs and the result are arrays.
        """

    @abstractmethod
    def _decoder_graph(self):
        """The same of the decoder."""

    def export_encoder(self, path):
        """Write the encoder to a file that other programs run.

        The file holds x -> E[z|x], which `transform` gives, with all that the model
        does to a row before its network: standardising, logarithms of counts, missing
        cells, one-hot categories. The number of rows is free.

        Parameters
        ----------
        path : str or path-like
            With the suffix ".onnx", for any runtime of ONNX, or ".pt2", for
            `torch.export.load`. The file is written whole or not at all.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the suffix is another one, or torch cannot export the encoder, as one of
            your own with branches that depend on its input.
        ImportError
            If ONNX is asked for and its packages are not installed.
        RuntimeError
            If the file, run on a few rows, does not give what the estimator does.

        Notes
        -----
        An array of numbers goes in as float32, of shape (n_samples, n_features). Where
        columns have kinds the input is float64, and a categorical or bernoulli cell is
        the position of its value in `categories_`; NaN is missing. Nothing is checked
        there: a category out of range, or NaN where the model has learned to read none,
        gives numbers without a meaning. The inputs are called X and, of a
        `ConditionalVAE`, y of shape (n_samples, n_outputs), whose labels are positions
        in `classes_`; the output is Z.

        Examples
        --------
        >>> import os, tempfile
        >>> import torch
        >>> from sklearn.datasets import load_iris
        >>> from sklvm import VAE
        >>> X = load_iris().data.astype("float32")
        >>> vae = VAE(max_epochs=50, random_state=0).fit(X)
        >>> path = os.path.join(tempfile.mkdtemp(), "encoder.pt2")
        >>> vae.export_encoder(path)
        >>> encoder = torch.export.load(path).module()
        >>> Z = encoder(torch.from_numpy(X)).detach().numpy()
        >>> bool(abs(Z - vae.transform(X)).max() < 1e-4)
        True
        """
        self._export(path, self._encoder_graph, "encoder")

    def export_decoder(self, path):
        """Write the decoder to a file that other programs run.

        The file holds z -> E[x|z], which `inverse_transform` gives; of a
        `ConditionalVAE` (z, x) -> E[y|z,x].

        Parameters
        ----------
        path : str or path-like
            With the suffix ".onnx" or ".pt2", as for `export_encoder`.

        Raises
        ------
        NotFittedError, ValueError, ImportError, RuntimeError
            As from `export_encoder`.

        Notes
        -----
        The input is called Z and is float32, of shape (n_samples, latent_dim). The
        output X has the form of the encoder's input: categorical and bernoulli columns
        of a table as positions in `categories_`, and numbers rounded as
        `inverse_transform` rounds them. Of a `ConditionalVAE` the inputs are Z and X,
        and the output is y.
        """
        self._export(path, self._decoder_graph, "decoder")

    def _export(self, path, make_graph, name):
        check_is_fitted(self)
        path = os.fspath(path)
        as_bytes = _writer(path)
        with cpu_by_default():
            graph, inputs, expected = make_graph()
            tensors = [torch.from_numpy(array) for array in inputs]
            data, run = as_bytes(graph, _program(graph, tensors, name))
            _check_agrees(path, run(inputs), expected)
        write_whole(path, data)


class DensityExports(Exports):
    """Exports of an estimator of p(x)."""

    def _encoder_graph(self):
        graph = Encoder(self.net_.module, form_of(self._rows))
        X, values = self._few_rows(self.net_.module.has_missing)
        return graph, [values], self._map_codes(self._validate_new(X))

    def _decoder_graph(self):
        graph = Decoder(self.net_.module, form_of(self._rows))
        shape = N_CHECKED, self.net_.module.latent_dim
        Z = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        rows = self._decoded(Z)
        if self._rows.is_table:
            schema = self._rows.schema
            rows = schema.encode(schema.decode(self._rows.values(rows)))
        return graph, [Z], rows

    def _few_rows(self, has_gaps):
        """A few rows that the model might have seen, and the same as numbers."""
        X, rows = self.sample(N_CHECKED)[0], self._rows
        values = rows.schema.encode(X) if rows.is_table else np.array(X)
        if has_gaps:
            values[::2, 0] = np.nan
        return rows.schema.decode(values) if rows.is_table else values, values


class ConditionalExports(Exports):
    """Exports of an estimator of p(y|x)."""

    def _encoder_graph(self):
        forms = form_of(self._x_rows), form_of(self._y_rows)
        X, x = self._few_conditions()
        y = self.sample(X)[0]
        graph = ConditionalEncoder(self.net_.module, *forms)
        module, _ = self._fitted_module()
        codes = self._map_rows(
            lambda rows: module.posterior(module.observe(rows)).mean,
            self._validate_pairs(X, y, "export_encoder"),
            module.encoder_row_size,
        )
        return graph, [x, self._target_values(y)], codes

    def _decoder_graph(self):
        forms = form_of(self._x_rows), form_of(self._y_rows)
        X, x = self._few_conditions()
        graph = ConditionalDecoder(self.net_.module, *forms)
        Z = self.sample(X)[1]
        with torch.inference_mode():
            expected = graph(torch.from_numpy(Z), torch.from_numpy(x))
        return graph, [Z, x], expected.numpy()

    def _target_values(self, y):
        """y as numbers: those given, or positions among labels."""
        if not self._y_rows.is_table:
            return self._y_rows.encode(y)
        return self._y_rows.table.schema.encode(self._y_rows._columns(y))

    def _few_conditions(self):
        """A few rows X, and the same as numbers."""
        rng = np.random.default_rng(0)
        if not self._x_rows.is_table:
            X = rng.normal(size=(N_CHECKED, self.n_features_in_)).astype(np.float32)
            return X, X
        schema = self._x_rows.schema
        rows = rng.normal(size=(N_CHECKED, len(schema.columns)))
        for j, column in enumerate(schema.columns):
            if column.categories is not None:
                rows[:, j] = rng.integers(len(column.categories), size=N_CHECKED)
            elif column.kind in ("poisson", "negative_binomial"):
                rows[:, j] = rng.poisson(2, size=N_CHECKED)
        X = schema.decode(self._x_rows.values(rows))
        return X, schema.encode(X)


def _program(graph, inputs, name):
    """The graph for any number of rows."""
    n_rows = torch.export.Dim("n_rows")
    try:
        with torch.no_grad():
            return torch.export.export(
                graph, tuple(inputs), dynamic_shapes=[{0: n_rows}] * len(inputs)
            )
    except Exception as error:  # whatever a module of the user's own leads to
        network = type(getattr(graph.module, name)).__name__
        reason = str(error).strip().partition("\n")[0].rstrip(".") or repr(error)
        raise ValueError(
            f"{name}={network} cannot be exported by torch ({reason}); write its "
            "forward without branches on values or on the number of rows."
        ) from error


def _check_agrees(path, found, expected):
    scale = max(1.0, np.abs(expected).max())
    difference = np.inf
    if found.shape == expected.shape:
        difference = np.abs(found - expected).max()
    if not difference <= TOLERANCE * scale:  # nor if it is NaN
        raise RuntimeError(
            f"path={path!r} was not written, as the exported graph gives values that "
            f"are off by {difference:g}; choose the other format, or another version "
            "of torch or onnxruntime."
        )


def _writer(path):
    """What makes the bytes of a file of this suffix, and a function that runs them."""
    suffix = Path(path).suffix
    if suffix not in WRITERS:
        raise ValueError(
            f"path={path!r} must end in '.onnx' or '.pt2', which say the format; rename"
            " it."
        )
    if suffix == ".onnx":
        _check_installed()
    return WRITERS[suffix]


def _check_installed():
    missing = [name for name in ("onnx", "onnxscript") if not _is_installed(name)]
    if missing:
        raise ImportError(
            f"ONNX needs the package {' and '.join(missing)}; pip install "
            "'sklvm[export]', or choose a path that ends in '.pt2'."
        )


def _is_installed(name):
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _as_pt2(graph, program):
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    data = buffer.getvalue()

    def run(arrays):
        loaded = torch.export.load(io.BytesIO(data)).module()
        with torch.inference_mode():
            return loaded(*map(torch.from_numpy, arrays)).numpy()

    return data, run


def _as_onnx(graph, program):
    import onnx

    with _without_advice():
        exported = torch.onnx.export(
            program, input_names=list(graph.inputs), output_names=[graph.output],
            dynamo=True, verbose=False,
        )  # fmt: skip
    model = exported.model_proto
    _name_rows(model.graph)
    onnx.checker.check_model(model)
    data = model.SerializeToString()

    def run(arrays):
        feeds = dict(zip(graph.inputs, arrays, strict=True))
        if _is_installed("onnxruntime"):
            import onnxruntime

            session = onnxruntime.InferenceSession(
                data, providers=["CPUExecutionProvider"]
            )
        else:
            from onnx.reference import ReferenceEvaluator

            session = ReferenceEvaluator(model)
        return session.run(None, feeds)[0]

    return data, run


@contextmanager
def _without_advice():
    """Where torch does not log which packages it could know, too."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _name_rows(graph):
    """Call the number of rows by its name; torch counts its symbols."""
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == symbol:
                dim.dim_param = "n_rows"


WRITERS = {".onnx": _as_onnx, ".pt2": _as_pt2}
