"""Label maps: a label for each pixel, in the forms that people have them in."""
