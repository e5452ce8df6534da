"""Sparse codes of segmentations against quadtrees, seeds, files and random walks.

python benchmarks/segmentation.py labels --data FOLDER --model labels.pkl
python benchmarks/segmentation.py images --data FOLDER --labels-model labels.pkl
python benchmarks/segmentation.py streams --data FOLDER
python benchmarks/segmentation.py lossless --data FOLDER
python benchmarks/segmentation.py speed --data FOLDER
python benchmarks/segmentation.py large --data FOLDER
"""

import _segmentation_images
import _segmentation_labels
import _segmentation_large
import _segmentation_lossless
import _segmentation_speed
import _segmentation_streams
from _commands import main

BENCHMARKS = {
    "labels": _segmentation_labels,
    "images": _segmentation_images,
    "large": _segmentation_large,
    "lossless": _segmentation_lossless,
    "speed": _segmentation_speed,
    "streams": _segmentation_streams,
}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)
