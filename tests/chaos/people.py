"""Who takes part: ten users, their tokens, five rooms with everybody in them."""

import json
from dataclasses import dataclass

from tests.sites.processes import Site, SiteProcess

ROOMS = tuple(f"room-{number}" for number in range(5))
USERS = 10

PREPARE = f"""
import json
from project.management.commands.load_demo import make_room, make_user
people = [make_user(f"user-{{number}}") for number in range({USERS})]
for slug in {ROOMS}:
    make_room(slug, slug, people)
print(json.dumps([[person.pk, person.username] for person in people]))
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A user, and a token that lasts."""

    id: int
    name: str
    token: str


def make_people(site: Site, process: SiteProcess) -> list[Person]:
    """Users who are members of all rooms, logged in."""
    made = json.loads(site.run(PREPARE))
    return [Person(id, name, process.log_in(name)["access"]) for id, name in made]
