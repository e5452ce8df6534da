"""Outliers by density: who is flagged where cells are missing, and who is found.

python benchmarks/outliers.py shares
python benchmarks/outliers.py auc
"""

import _outliers_auc
import _outliers_shares
from _commands import main

BENCHMARKS = {"shares": _outliers_shares, "auc": _outliers_auc}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)
