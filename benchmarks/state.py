"""Files of fitted models: sizes, damaged ones, and what checkpoints cost.

python benchmarks/state.py checkpoints
python benchmarks/state.py kills
python benchmarks/state.py sizes
python benchmarks/state.py fuzz --n 1000000
"""

import _state_checkpoints
import _state_fuzz
import _state_kills
import _state_sizes
from _commands import main

BENCHMARKS = {
    "checkpoints": _state_checkpoints,
    "fuzz": _state_fuzz,
    "kills": _state_kills,
    "sizes": _state_sizes,
}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)
