r"""Formulas as MathML, which browsers draw themselves: no script, no font, no network.

docutils, on which Sphinx stands, already has a converter from LaTeX. An unknown command
is an error in it and a warning here, so that a strict build finds it; so is what it
would read otherwise than LaTeX does, without a word.

>>> list(faults(r"\frac12 \log x"))
['write the arguments of \\frac in braces']
>>> list(faults(r"x^10 + y_-1"))
['write x^{10} for x^10', 'write y_{-1} for y_-1']
>>> list(faults(r"E[x_{mis}]"))
['set the word mis by \\text or \\mathrm']
>>> list(faults("\text{rate} = 1"))
['a backslash has become a control character; write r before the docstring']
>>> list(faults(r"\hat x_k"))
['write the argument of \\hat in braces']
>>> list(faults(r"\\text{} = 1, x!"))
['set the word text by \\text or \\mathrm']
>>> list(faults(r"\frac{1}{2} \hat{x}_{10} + \sum_{d=1}^D \theta_{kdl} \text{rate}"))
[]
"""

import re
from xml.etree import ElementTree

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)
NAMESPACE = "http://www.w3.org/1998/Math/MathML"
ElementTree.register_namespace("", NAMESPACE)
BEFORE = [
    # What docutils calls by another name.
    (re.compile(r"\\([bB]igg?)(?![a-zA-Z])"), r"\\\1l"),
    (re.compile(r"\\dfrac\b"), r"\\frac"),
    (re.compile(r"(?<![A-Za-z\\])KL(?=\()"), r"\\mathrm{KL}"),
    # KL(q || p): room around the bars, which would else be those of a norm.
    (re.compile(r"(?<=\s)\\\|(?=\s)"), r"\\;\\|\\;"),
]
# First a thin space between the name of a function and an argument without brackets.
AFTER = [
    (
        re.compile(r"(<mo>&ApplyFunction;</mo>)(?!\s*(<mrow>\s*)?<mo[^>]*>[(\[])"),
        r'\1<mspace width="0.167em"/>',
    ),
    # The bars of KL(q || p) have the height of letters, whatever stands beside.
    (re.compile(r"<mo[^>]*>‖</mo>"), '<mo stretchy="false">‖</mo>'),
]
GROUP = r"\s*\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
FRACTION = re.compile(r"\\([dt]?frac|[dt]?binom)(?![A-Za-z])")
TWO_GROUPS = re.compile(GROUP + GROUP)
ACCENT = re.compile(r"\\(bar|hat|tilde|vec|dot|sqrt|text|mathrm)\b(?!\s*[{\[])")
SCRIPT = re.compile(r"(\w[_^])(\d\d+|[-+]\w+)")
TEXT = re.compile(r"\\(text|mathrm|operatorname\*?|mathit|textbf|mathbf)" + GROUP)
COMMAND = re.compile(r"\\([A-Za-z]+\*?|.)")
WORD = re.compile(r"[A-Za-z]{3,}")
# Three indices in a row, which are no word.
INDICES = {"kdl"}


def faults(tex):
    """What docutils would draw otherwise than LaTeX, a sentence each."""
    if re.search(r"[\t\x07\x08\x0b\x0c]", tex):
        yield "a backslash has become a control character; write r before the docstring"
        return
    for match in FRACTION.finditer(tex):
        if not TWO_GROUPS.match(tex, match.end()):
            yield f"write the arguments of \\{match[1]} in braces"
    for match in ACCENT.finditer(tex):
        yield f"write the argument of \\{match[1]} in braces"
    for match in SCRIPT.finditer(tex):
        yield f"write {match[1]}{{{match[2]}}} for {match[0]}"
    tex = TEXT.sub(" ", tex.replace(r"\\", " "))
    for word in WORD.findall(COMMAND.sub(" ", tex)):
        if word not in INDICES:
            yield f"set the word {word} by \\text or \\mathrm"


def rewrite(text, rules):
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def with_scripts_in_place(mathml):
    r"""Labels of braces below them, and indices of accented letters beside these.

    docutils has them the other way round.

    >>> tags = re.compile(r"<m(sub|sup|under|over|underover)\b")
    >>> tags.findall(with_scripts_in_place(tex2mathml(r"\underbrace{x}_{\text{rate}}")))
    ['under', 'under']
    >>> tags.findall(with_scripts_in_place(tex2mathml(r"\bar{x}_k + \sum_{k=1}^K")))
    ['sub', 'over', 'underover']
    """
    tree = ElementTree.fromstring(mathml.replace("&ApplyFunction;", "\u2061"))
    for element in list(tree.iter()):
        tag = element.tag.removeprefix(f"{{{NAMESPACE}}}")
        if tag == "msub" and (element[0][-1:] or [element])[0].text == "⏟":
            element.tag = f"{{{NAMESPACE}}}munder"
        elif tag == "munderover" and element[2].get("stretchy") == "false":
            letter, index, accent = element
            accented = ElementTree.Element(f"{{{NAMESPACE}}}mover", accent="true")
            accented.extend([letter, accent])
            element.tag = f"{{{NAMESPACE}}}msub"
            element[:] = [accented, index]
    return ElementTree.tostring(tree, encoding="unicode")


def convert(tex, as_block, node):
    """MathML of a formula; nothing, with a warning, where docutils cannot read it."""
    for fault in faults(tex):
        logger.warning("formula %r: %s", tex, fault, location=node)
    try:
        mathml = tex2mathml(rewrite(tex, BEFORE), as_block=as_block)
    except (MathError, AttributeError, IndexError) as error:
        logger.warning("formula %r: %s", tex, error, location=node)
        return ""
    return with_scripts_in_place(rewrite(mathml, AFTER))


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
