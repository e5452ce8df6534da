"""Text that says a number, a quantity with its unit, a date, or that nothing is there.

Each function looks at the distinct texts of a column, and the rows that have them.
"""

import re

import numpy as np

NEARLY_ALL = 0.9
# As many distinct quantities are rarely meant as categories: sizes in stock are few.
FEW_QUANTITIES = 10
FEW_UNITS = 4

# What files and str(NaN) have where nothing was measured. "None", "unknown" and their
# like are answers as often.
_NOTHING = frozenset(
    "nan NaN -nan -NaN <NA> NA N/A n/a #N/A #NA NULL null NaT ? - -- .".split()
)
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"
    r"|\d{1,2}/\d{1,2}/\d{2}$"
    rf"|\d{{1,2}}(st|nd|rd|th)?[-/. ]*{_MONTH}[-/., ]*\d{{2,4}}\b"
    rf"|{_MONTH}[- ]\d{{1,2}}(st|nd|rd|th)?,? +\d{{4}}\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[ap]\.?m\.?)?$"
    r"|(\d+ ?(d|h|m|s)[a-z]*,? ?){2,}$",
    re.IGNORECASE,
)
# Digits in groups of three, or a decimal point or comma.
_SIGN = r"[^\w\s.,:/#()-]"  # of a currency, a degree, a percentage
# Any three letters would be codes as well, as SKU1001.
_CODES = (
    "AED|ARS|AUD|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|ISK|JPY|"
    "KES|KRW|MXN|MYR|NGN|NOK|NZD|PEN|PHP|PKR|PLN|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|"
    "VND|ZAR"
)
_CURRENCY = rf"{_SIGN}|(?:{_CODES})(?=[ \d-])|[A-Z]{{1,2}}\$"
_DIGITS = r"\d{1,3}(?:[,.' \u00a0\u202f]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?"
_UNIT = rf"(?:(?:sq|fl|cu)\.? )?[^\W\d_][^\d,;:\s]{{0,11}}|{_SIGN}{{1,2}}[^\W\d_]?"
_QUANTITY = re.compile(
    rf"[-+−]?(?P<before>(?:{_CURRENCY})?)\s?[-+−]?\s?"
    rf"(?:{_DIGITS})(?P<after>(?:\s?(?:{_UNIT}))?)$"
)


def written_as(labels, rows):
    """What nearly all rows with a text have written in it, or None.

    Parameters
    ----------
    labels : list or ndarray of str
        Distinct texts.
    rows : ndarray
        How many rows have each of them.

    Returns
    -------
    what : {"number", "date", "quantity"} or None
        Texts for missing values do not count. Quantities are numbers with a unit, a
        currency, a percent sign or separators, and times of day, of which there are
        many.
    """
    says_something = np.array([not says_nothing(text) for text in labels])
    enough = NEARLY_ALL * rows[says_something].sum()
    if not enough:
        return None
    texts = [text.strip() for text in np.asarray(labels)[says_something]]
    rows = rows[says_something]
    for what, is_such in (("number", _is_number), ("date", _is_date)):
        if rows @ [is_such(text) for text in texts] >= enough:
            return what
    is_such = np.array([_is_quantity(text) for text in texts])
    is_many = is_such.sum() > FEW_QUANTITIES and rows @ is_such >= enough
    return "quantity" if is_many and _have_few_units(texts) else None


def says_nothing(text):
    """Whether a text stands for a missing value, as "NaN", "N/A" and "?" do."""
    return not text.strip() or text.strip() in _NOTHING


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_date(text):
    return _DATE.match(text) is not None


def _is_quantity(text):
    if text.startswith("(") and text.endswith(")"):  # below 0, to accountants
        text = text[1:-1]
    found = _is_number(text) or _QUANTITY.match(text) or _TIME.match(text)
    return bool(found)


def _have_few_units(texts):
    """Seats and house numbers have letters as well, but many of them, or A, B and C."""
    found = filter(None, map(_QUANTITY.match, texts))
    units = {(match["before"], match["after"].strip()) for match in found}
    letters = sorted({after.upper() for _, after in units} - {""})
    counts_letters = len(letters) > 1 and letters == list("ABCD"[: len(letters)])
    return len(units) <= FEW_UNITS and not counts_letters
