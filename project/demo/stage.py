"""Whether the people who talk by themselves are wanted, and in which process. Kept in the cache, which all share."""

from django.core.cache import cache

# They go on for so long after the last visitor has left, so that whoever cuts their network misses something.
AWAY_SECONDS = 120
# A process that dies gives its place to another one after so long.
PLACE_SECONDS = 30
# Nobody reads more in one sitting, and a forgotten tab must not fill the database.
LINES_AT_MOST = 400
# How many lines were said since the first visitor came. It is gone when nobody has looked for a while.
SAID = "demo:said"
PLACE = "demo:place"


def note_visitor() -> None:
    """Somebody is looking."""
    if not cache.add(SAID, 0, AWAY_SECONDS):
        cache.touch(SAID, AWAY_SECONDS)


def take_place(name: str) -> bool:
    """Whether the actors of this name may perform: they are wanted, and one company at a time has the whole site."""
    if cache.get(SAID, LINES_AT_MOST) >= LINES_AT_MOST:
        return False
    return cache.add(PLACE, name, PLACE_SECONDS) or cache.get(PLACE) == name


def keep_place(name: str) -> bool:
    """The same, for one more line."""
    if not take_place(name):
        return False
    try:
        cache.incr(SAID)
    except ValueError:  # it has run out meanwhile
        return False
    return cache.touch(PLACE, PLACE_SECONDS)


def leave_place(name: str) -> None:
    if cache.get(PLACE) == name:
        cache.delete(PLACE)
