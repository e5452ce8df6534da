"""Encoders and decoders as functions of numbers alone, which can be exported."""

import copy
from fractions import Fraction

import torch
from torch import nn


class Cells(nn.Module):
    """Rows of a table as numbers, to and from the rows that the model reads.

    The numbers are those of `Schema.encode`, and come back on the steps to which
    `Column.decode` rounds. In float64, as in `Table`: float32 would not tell years
    apart.
    """

    def __init__(self, table):
        super().__init__()
        self.register_buffer("center", torch.as_tensor(table.center))
        self.register_buffer("scale", torch.as_tensor(table.scale))
        self.register_buffer("is_log", torch.as_tensor(table.is_log))
        steps = [
            Fraction(repr(column.step)) if column.categories is None else Fraction(1)
            for column in table.schema.columns
        ]
        self.register_buffer("has_step", torch.tensor([step > 0 for step in steps]))
        up = [float(step.numerator or 1) for step in steps]
        down = [float(step.denominator) for step in steps]
        self.register_buffer("up", torch.tensor(up, dtype=torch.float64))
        self.register_buffer("down", torch.tensor(down, dtype=torch.float64))
        # A small lognormal value must not become 0, where it has no density.
        lowest = torch.where(self.is_log, 1.0, -torch.inf)
        self.register_buffer("lowest", lowest.double())
        self.has_logs = bool(table.is_log.any())

    def encode(self, x):
        if self.has_logs:
            x = torch.where(self.is_log, torch.where(self.is_log, x, 1.0).log(), x)
        return ((x - self.center) / self.scale).float()

    def decode(self, rows):
        x = rows.double() * self.scale + self.center
        if self.has_logs:
            x = torch.where(self.is_log, torch.where(self.is_log, x, 0.0).exp(), x)
        multiples = (x * (self.down / self.up)).round().maximum(self.lowest)
        return torch.where(self.has_step, multiples * self.up / self.down, x)


class Numbers(nn.Module):
    """Rows that the model reads as they are, in float32."""

    def encode(self, x):
        return x

    def decode(self, rows):
        return rows


def form_of(rows):
    """How the rows of an estimator, or its targets, become numbers and come back."""
    table = getattr(rows, "table", rows)
    return Cells(table) if table.is_table else Numbers()


def mean_code(module, rows):
    """E[z|x], with which the parameters of every posterior begin."""
    parameters = module.encoder(module.encoder_input(module.observe(rows)))
    return parameters[:, : module.latent_dim]


class _Graph(nn.Module):
    """A function of the model; `inputs` and `output` are names."""

    def __init__(self, module):
        super().__init__()
        self.module = copy.deepcopy(module).cpu().eval()


class Encoder(_Graph):
    """X to the mean of q(z|x)."""

    inputs, output = ("X",), "Z"

    def __init__(self, module, form):
        super().__init__(module)
        self.form = form

    def forward(self, x):
        rows = self.form.encode(x)
        return mean_code(self.module, rows)


class Decoder(_Graph):
    """z to what E[x|z] stands for."""

    inputs, output = ("Z",), "X"

    def __init__(self, module, form):
        super().__init__(module)
        self.form = form

    def forward(self, z):
        return self.form.decode(self._decide(self.module.decode(z)))

    def _decide(self, outputs):
        likelihood = self.module.likelihood
        return likelihood.decide(likelihood.mean(outputs))


class ConditionalEncoder(_Graph):
    """X and y to the mean of q(z|y,x)."""

    inputs, output = ("X", "y"), "Z"

    def __init__(self, module, x_form, y_form):
        super().__init__(module)
        self.x_form, self.y_form = x_form, y_form

    def forward(self, x, y):
        rows = torch.cat([self.y_form.encode(y), self.x_form.encode(x)], -1)
        return mean_code(self.module, rows)


class ConditionalDecoder(Decoder):
    """z and X to what E[y|z,x] stands for."""

    inputs, output = ("Z", "X"), "y"

    def __init__(self, module, x_form, y_form):
        super().__init__(module, y_form)
        self.x_form = x_form

    def forward(self, z, x):
        x = self.module.read(self.x_form.encode(x))
        return self.form.decode(self._decide(self.module.decode(z, x)))
