"""Files of fitted models: their sizes, and what comes of damaged ones.

python benchmarks/state.py sizes
python benchmarks/state.py fuzz --n 1000000
"""

import _state_fuzz
import _state_sizes
from _commands import main

BENCHMARKS = {"fuzz": _state_fuzz, "sizes": _state_sizes}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)
