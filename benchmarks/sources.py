"""Rows that are not in memory: memory, limits of it, passes, workers.

python benchmarks/sources.py memory --folder FOLDER
python benchmarks/sources.py limit
python benchmarks/sources.py passes
python benchmarks/sources.py dask
"""

import _sources_dask
import _sources_limit
import _sources_memory
import _sources_passes
from _commands import main

BENCHMARKS = {
    "memory": _sources_memory,
    "limit": _sources_limit,
    "passes": _sources_passes,
    "dask": _sources_dask,
}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)
