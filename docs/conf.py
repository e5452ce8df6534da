"""Configuration of the documentation; CONTRIBUTING.md has the command that builds it.

Nothing here needs the network: formulas are MathML, fonts and scripts are the theme's.
"""

import os
import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

# Two examples run side by side, so each has one thread. Before torch is imported.
os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="Agg")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sklvm"
author = "the sklvm developers"
copyright = "the sklvm developers"
version = release = installed_version("sklvm")

extensions = [
    "mathml",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_ext", "_templates", "sg_execution_times.rst"]
templates_path = ["_templates"]

# Pages ------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True


def close_fences(app, docname, source):
    """Without the blank line at the end of a code block, which pytest needs."""
    source[0] = source[0].replace("\n\n```\n", "\n```\n")


# Reference --------------------------------------------------------------------------

# A name in single backticks is code, and a link where it is one of the reference.
default_role = "py:obj"
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
# The template of a class lists its methods itself.
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False


# Links to the pages of others need their lists of names from the network; a build that
# has one asks for them: `sphinx-build -t online`. Without, such names are code.
intersphinx_mapping = {}
if tags.has("online"):  # noqa: F821  Sphinx puts it here
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "torch": ("https://pytorch.org/docs/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
    }


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what scikit-learn's base classes bring: its own pages describe it."""
    function = getattr(obj, "fget", None) or getattr(obj, "__func__", obj)
    module = getattr(function, "__module__", None) or ""
    return True if not module.startswith("sklvm") else None


# A word that ends in an underscore is a link in reStructuredText, not in a docstring.
NO_LINKS = [
    (re.compile(r"(?<=\()(\w+_)(?=,)"), r"`\1`"),  # shape (n_iter_,)
    (re.compile(r'(?<!`)("\w+__\.\.\.")'), r"``\1``"),  # "optimizer__..."
]


def plain_text(app, what, name, obj, options, lines):
    """What reads well as text, made to mean the same to docutils."""
    for i in range(len(lines) - 1, -1, -1):
        for pattern, replacement in NO_LINKS:
            lines[i] = pattern.sub(replacement, lines[i])
        # A line that ends in a backslash goes on, as in Python; two are LaTeX's.
        if i > 0 and re.search(r"(?<!\\)\\$", lines[i - 1]):
            lines[i - 1 : i + 1] = [lines[i - 1][:-1] + lines[i].lstrip()]


def setup(app):
    app.connect("source-read", close_fences)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("autodoc-process-docstring", plain_text, priority=400)


# Examples ---------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklvm",),
    "filename_pattern": r"/(plot_|quickstart)",
    # Every file of the folder is run; the lists above and below must not part.
    "ignore_pattern": r"/_",
    "subsection_order": ["../examples/tables", "../examples/networks", "*"],
    "within_subsection_order": "FileNameSortKey",
    "parallel": 2,
    "remove_config_comments": True,
    "show_signature": False,
    "download_all_examples": False,
    "write_computation_times": False,
}

# Looks ------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "sklvm"
html_static_path = ["_static"]
html_css_files = ["sklvm.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
# Pages without pages below them have nothing to list at their left.
ALONE = "index install getting_started benchmarks changes".split()
html_sidebars = {page: [] for page in ALONE}
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
}
