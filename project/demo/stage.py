"""Whether the people who talk by themselves are wanted, and in which process. Kept in the cache, which all share."""

from django.core.cache import cache

# They go on for so long after the last visitor has left, so that whoever cuts their network misses something.
AWAY_SECONDS = 120
# A process that dies gives its place to another one after so long.
PLACE_SECONDS = 30
LOOKED_AT = "demo:looked-at"
PLACE = "demo:place"


def note_visitor() -> None:
    """Somebody is looking."""
    cache.set(LOOKED_AT, True, AWAY_SECONDS)


def take_place(name: str) -> bool:
    """Whether the actors of this name may perform: one company at a time in the whole site."""
    return cache.add(PLACE, name, PLACE_SECONDS) or cache.get(PLACE) == name


def keep_place(name: str) -> bool:
    """Whether they are still wanted, and the place is theirs. Called before each line."""
    if not (cache.get(LOOKED_AT) and take_place(name)):
        return False
    return cache.touch(PLACE, PLACE_SECONDS)


def leave_place(name: str) -> None:
    if cache.get(PLACE) == name:
        cache.delete(PLACE)
