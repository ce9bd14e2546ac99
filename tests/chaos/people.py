"""Who takes part: ten users with their tokens, five rooms with everybody in them, and three who only read."""

import json
from dataclasses import dataclass

from tests.sites.processes import Site, SiteProcess

ROOMS = tuple(f"room-{number}" for number in range(5))
USERS = 10
READERS = 3

PREPARE = f"""
import json
from project.management.commands.load_demo import make_room, make_user
people = [make_user(f"user-{{number}}") for number in range({USERS})]
for slug in {ROOMS}:
    make_room(slug, slug, people)
readers = [make_user(f"reader-{{number}}") for number in range({READERS})]
print(json.dumps([[person.pk, person.username] for person in people + readers]))
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A user, and a token that lasts."""

    id: int
    name: str
    token: str


def make_people(site: Site, process: SiteProcess) -> tuple[list[Person], list[Person]]:
    """Users who are members of all rooms, and those who get notifications and nothing else; all are logged in."""
    made = [Person(id, name, process.log_in(name)["access"]) for id, name in json.loads(site.run(PREPARE))]
    return made[:USERS], made[USERS:]
