"""The batches of a pass over the rows."""

import math

import torch
from torch.utils.data import Subset

from sklvm.neural._device import as_dense, as_tensor


class Batches:
    """One pass over a dataset in batches of nearly equal size.

    Equal sizes, because a last batch of a few rows would have as much weight as a whole
    one. `shuffle` is a generator on the device, or None for the rows' own order.
    """

    def __init__(self, dataset, batch_size, device, shuffle=None):
        self.batch_size = batch_size
        self.device = device
        self.shuffle = shuffle
        self.rows = None
        if isinstance(dataset, Subset):
            self.rows = torch.as_tensor(dataset.indices, device=device)
            dataset = dataset.dataset
        self.X, self.y = dataset.X, dataset.y
        self.n_rows = len(dataset) if self.rows is None else len(self.rows)

    def __len__(self):
        return math.ceil(self.n_rows / self.batch_size)

    def __iter__(self):
        if self.shuffle is None:
            order = torch.arange(self.n_rows, device=self.device)
        else:
            order = torch.randperm(
                self.n_rows, generator=self.shuffle, device=self.device
            )
        if self.rows is not None:
            order = self.rows[order]
        for rows in order.tensor_split(len(self)):
            yield self._take(self.X, rows), self._take(self.y, rows)

    def rows_of_x(self, numbers):
        """Some rows of X by their numbers in the dataset, on the device."""
        numbers = torch.as_tensor(numbers, device=self.device)
        return self._take(self.X, numbers if self.rows is None else self.rows[numbers])

    def _take(self, array, rows):
        if array is None:
            return None
        if not isinstance(array, torch.Tensor):
            return as_tensor(as_dense(array[rows.cpu().numpy()]), self.device)
        return array.index_select(0, rows)
