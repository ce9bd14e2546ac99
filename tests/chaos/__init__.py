"""The proof that nothing is lost: a real site, clients that write and read, and everything breaking meanwhile.

`plan` says what breaks when, and `breakage` breaks it; `road` is a client's network, `client` a client as it should be
with its `outbox` and the `account` of what it got, `reader` one that gets notifications, counts them (`badge`), and
lets the site (`urls`) send some; `verdict`, with `groups`, compares all of it with the database (`record`). `run` does
one run, `python -m tests.chaos` (`make soak`) as many as one likes.
"""
