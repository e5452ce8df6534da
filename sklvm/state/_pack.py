"""States for pickle: the same tree and arrays, in a dict of plain values.

Tensors travel between processes by file descriptors, and skops cannot take them apart;
JSON and NumPy arrays go everywhere. What is not ours stays as it is.
"""

import json

from sklvm.state._classes import find
from sklvm.state._read import Reader
from sklvm.state._write import Writer


def pack(state, resumable=False):
    """A dict of attributes as text, arrays, and what pickle has to see to."""
    others = []
    writer = Writer(resumable, others)
    tree = writer.write(state)
    return {
        "tree": json.dumps([list(writer.classes), tree], separators=(",", ":")),
        # Copies, as the weights may be trained further.
        "arrays": {name: array.copy() for name, array in writer.arrays.items()},
        "classes": writer.foreign,
        "others": others,
    }


def unpack(packed):
    """The dict of attributes that was packed."""
    names, tree = json.loads(packed["tree"])
    classes = find(names, packed["classes"])
    return Reader(classes, dict(packed["arrays"]), packed["others"]).read(tree)
