"""Replaces Django's `runserver` by daphne's, which serves sockets as well.

As an installed app, daphne would replace it, too, but would load Twisted into every process of the site: two fifths of
the time that a command takes to start.
"""

from daphne.management.commands.runserver import Command

__all__ = ["Command"]
