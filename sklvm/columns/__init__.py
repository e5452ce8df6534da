"""What the columns of a table are, and how its cells become numbers and come back.

Knows no model. `Schema.read` learns the columns of an array or DataFrame; mixtures and
autoencoders ask it for blocks of columns of one kind, and for values in and out.
"""

from sklvm.columns._column import KINDS, Block, Column
from sklvm.columns._schema import Schema

__all__ = ["KINDS", "Block", "Column", "Schema"]
