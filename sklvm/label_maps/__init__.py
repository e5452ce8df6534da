"""Label maps: a label for each pixel, in the forms that people have them in."""

from sklvm.label_maps._codec import LabelMapCodec
from sklvm.label_maps._pictures import read_masks
from sklvm.label_maps._run_lengths import from_run_lengths, to_run_lengths

__all__ = ["LabelMapCodec", "from_run_lengths", "read_masks", "to_run_lengths"]
