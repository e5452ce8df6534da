"""The conditional variational autoencoder against its peers: two branches, and tables.

python benchmarks/conditional.py branches
python benchmarks/conditional.py tables
"""

import _conditional_branches
import _conditional_tables
from _commands import main

BENCHMARKS = {"branches": _conditional_branches, "tables": _conditional_tables}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)
