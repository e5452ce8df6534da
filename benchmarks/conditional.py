"""The conditional variational autoencoder against its peers: data with two branches.

python benchmarks/conditional.py branches
"""

import _conditional_branches
from _commands import main

BENCHMARKS = {"branches": _conditional_branches}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)
