"""How much a family has to write, counted: the measure by which the core is judged."""

import ast
import inspect
import io
import tokenize
from pathlib import Path

import pytest

import sklvm.mixture
from sklvm.mixture._components import Components, Kernel

FOLDER = Path(sklvm.mixture.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
MOST_HOOKS, MOST_LINES_OF_A_FAMILY, MOST_LINES_OF_A_FILE = 6, 60, 350


def lines_of_code(source):
    """Numbers of the lines that hold neither docstring nor comment alone."""
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            first = node.body[0]
            docstrings.update(range(first.lineno, first.end_lineno + 1))
    lines = set()
    layout = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - docstrings


def test_the_count_leaves_out_what_explains():
    source = (
        '"""Why."""\n\nx = 1  # here\n# there\ndef f():\n    "What."\n    return x\n'
    )
    assert lines_of_code(source) == {3, 5, 7}


def test_mandatory_hooks():
    """What a new family must write before it fits; the rest has a default."""
    hooks = Components.__abstractmethods__ | {
        f"Kernel.{name}" for name in Kernel.__abstractmethods__
    }
    assert 1 <= len(hooks) <= MOST_HOOKS, sorted(hooks)


@pytest.mark.parametrize("interface", [Components, Kernel])
def test_the_recipe_stands_in_the_interface(interface):
    """Every hook says what it computes."""
    assert inspect.isabstract(interface)
    for name in interface.__abstractmethods__:
        assert inspect.getdoc(getattr(interface, name))


@pytest.mark.parametrize("family", ["poisson", "categorical"])
def test_lines_of_a_family(family):
    source = (FOLDER / "families" / f"{family}.py").read_text()
    assert len(lines_of_code(source)) <= MOST_LINES_OF_A_FAMILY


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_lines_of_a_file(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES_OF_A_FILE


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_families_know_no_estimator_and_no_threads(path):
    """Arrows down only: what a family imports lies below the mixture and its rows."""
    if path.parent.name != "families":
        return
    above = {"_mixture", "_em", "_rows", "_estimator", "_fitted", "_starts"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = {(node.module or "")} if isinstance(node, ast.ImportFrom) else set()
            names |= {alias.name for alias in node.names}
            parts = {part for name in names for part in name.split(".")}
            assert not parts & (above | {"threading", "concurrent"}), path
