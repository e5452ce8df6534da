"""MixtureEM on tables of mixed columns, against its peers.

python benchmarks/tables.py speed
python benchmarks/tables.py clusters
python benchmarks/tables.py synthetic
python benchmarks/tables.py imputation
"""

import _tables_clusters
import _tables_imputation
import _tables_speed
import _tables_synthetic
from _commands import main

BENCHMARKS = {
    "speed": _tables_speed,
    "clusters": _tables_clusters,
    "synthetic": _tables_synthetic,
    "imputation": _tables_imputation,
}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)
