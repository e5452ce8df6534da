"""Configuration of the documentation: sphinx-build docs docs/_build/html."""

import sklvm

project = "sklvm"
author = "the sklvm developers"
copyright = "the sklvm developers"
version = release = sklvm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
html_theme = "alabaster"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autosummary_generate = True
# The autosummary page of a class lists its methods itself.
numpydoc_show_class_members = False
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
}
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/(plot_|quickstart)",
    "doc_module": "sklvm",
}
