"""Collections of Dask. Sums over their rows are made where the rows are."""

from concurrent.futures import CancelledError

import numpy as np

from sklvm.sources._source import RowSource, n_rows

FIRST_ROWS = 1000
# Bytes of a function that may be sent with each task. A larger one is sent to each
# worker once, as something that tasks depend on; but then Dask takes whoever holds it
# for a place where they may run, and moves partitions there.
MOST_SENT = 2**20


class DaskSource(RowSource):
    """Rows in the partitions of a collection, which any scheduler of Dask computes.

    Nothing but sums, and what predictions are asked for, leaves the workers. They are
    added in a fixed tree, so that the result does not depend on who is done first; a
    partition that is lost with its worker is computed again by Dask.
    """

    def __init__(self, collection):
        self.partitions = [p for row in collection.to_delayed() for p in np.ravel(row)]

    def chunks(self):
        return map(_computed, self.partitions)

    def first(self):
        import dask

        for partition in self.partitions:
            table = _computed(dask.delayed(_head)(partition))
            if n_rows(table):
                return table
        raise ValueError("X has no rows; give a collection with at least one.")

    def sum(self, function, add):
        import dask

        function, add = _sendable(function), _sendable(add)
        part, both = (dask.delayed(f, pure=False) for f in (_part, _both))
        sums = [part(function, partition) for partition in self.partitions]
        while len(sums) > 1:
            pairs = [sums[i : i + 2] for i in range(0, len(sums), 2)]
            sums = [both(add, *pair) if len(pair) == 2 else pair[0] for pair in pairs]
        return _computed(sums[0])


class DaskFrameSource(DaskSource):
    """Rows of a `dask.dataframe.DataFrame`."""

    def __init__(self, frame):
        super().__init__(frame)
        self.columns = list(frame.columns)


class DaskArraySource(DaskSource):
    """Rows of a `dask.array.Array`."""

    def __init__(self, array):
        if array.ndim != 2:
            raise ValueError(
                f"X has {array.ndim} axes; give an array of two, rows and columns."
            )
        super().__init__(array.rechunk({1: -1}))
        self.n_rows = None if np.isnan(array.shape[0]) else int(array.shape[0])


def _sendable(function):
    import cloudpickle
    import dask

    if len(cloudpickle.dumps(function)) <= MOST_SENT:
        return function
    return dask.delayed(function, traverse=False, pure=False)


def _computed(delayed):
    try:
        return delayed.compute()
    except (CancelledError, OSError) as error:
        raise RuntimeError(
            f"The cluster of Dask went away in the middle of a pass over X ({error}); "
            "start it again, and repeat the call."
        ) from error


def _head(table):
    return table[:FIRST_ROWS]


def _part(function, table):
    return function(table) if n_rows(table) else None


def _both(add, one, other):
    if one is None or other is None:
        return other if one is None else one
    return add(one, other)
