"""The beginning of what people have written, for lists and subjects. Used by the admin and the mails of both apps."""

from django.utils.text import Truncator

# How many code points are looked at for each character that is shown: some are marks on the character before.
CODE_POINTS = 5


def shorten(text: str, chars: int) -> str:
    """The beginning of a text, of `chars` characters at most, with an ellipsis in place of the rest.

    Django's Truncator brings the whole text into Unicode's normal form first, whose time grows with the square of the
    length for marks without letters. No other thread runs meanwhile.
    """
    most = chars * CODE_POINTS
    return Truncator(text if len(text) <= most else f"{text[:most]}…").chars(chars)
