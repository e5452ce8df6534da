"""Formulas as MathML, which browsers draw themselves: no script, no font, no network.

docutils, on which Sphinx stands, already has a converter from LaTeX. An unknown command
is an error in it and a warning here, so that a strict build finds it.
"""

import re

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)
BEFORE = [
    # What docutils calls by another name.
    (re.compile(r"\\([bB]igg?)(?![a-zA-Z])"), r"\\\1l"),
    (re.compile(r"\\dfrac\b"), r"\\frac"),
    (re.compile(r"(?<![A-Za-z\\])KL(?=\()"), r"\\mathrm{KL}"),
    # KL(q || p): room around the bars, which would else be those of a norm.
    (re.compile(r"(?<=\s)\\\|(?=\s)"), r"\\;\\|\\;"),
]
# A thin space between the name of a function and an argument without brackets.
AFTER = [
    (
        re.compile(r"(<mo>&ApplyFunction;</mo>)(?!\s*(<mrow>\s*)?<mo[^>]*>[(\[])"),
        r'\1<mspace width="0.167em"/>',
    )
]


def rewrite(text, rules):
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def convert(tex, as_block, node):
    """MathML of a formula; nothing, with a warning, where docutils cannot read it."""
    try:
        mathml = tex2mathml(rewrite(tex, BEFORE), as_block=as_block)
    except (MathError, AttributeError, IndexError) as error:
        logger.warning("formula %r: %s", tex, error, location=node)
        return ""
    return rewrite(mathml, AFTER)


def visit_inline(translator, node):
    translator.body.append(convert(node.astext(), False, node))
    raise SkipNode


def visit_block(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="math-block"))
    translator.body.append(convert(node.astext().strip(), True, node))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})</span>')
    translator.body.append("</div>\n")
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
