"""What every Python program that the tests start runs first, so that the garbage collector slows down no start or end.

Python imports this file by its name, from the folder that `tests/conftest.py` puts into PYTHONPATH. Loading a site
makes many objects and hardly any garbage: with Python's thresholds, `manage.py check` spends a quarter of its CPU time
on the search for it. A server sets thresholds of its own when it has started.
"""

import atexit
import gc

gc.set_threshold(20_000, 20, 100)
# The end of the process frees what is left.
atexit.register(gc.freeze)
