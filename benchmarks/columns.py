"""Autoencoders on the columns of tables, beside what answers the same question.

python benchmarks/columns.py pairs
python benchmarks/columns.py counts
python benchmarks/columns.py tables
python benchmarks/columns.py labels
python benchmarks/columns.py sparse
"""

import _columns_counts
import _columns_labels
import _columns_pairs
import _columns_sparse
import _columns_tables
from _commands import main

BENCHMARKS = {
    "pairs": _columns_pairs,
    "counts": _columns_counts,
    "tables": _columns_tables,
    "labels": _columns_labels,
    "sparse": _columns_sparse,
}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)
