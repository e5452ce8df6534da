"""p(x | z = k), a file for each family. To write one, start from `poisson.py`."""
