"""`python -m bench.readme`: copies the table of results from docs/benchmarks.md into README.md. Run by `make bench`."""

from pathlib import Path

from bench.servers import ROOT

README = ROOT / "README.md"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
START, END = "<!-- benchmark:start -->", "<!-- benchmark:end -->"
NOTHING = "Not measured yet: `make bench` fills this in."


def read_table(document: Path = DOCUMENT) -> str:
    """The first table of the page, or a sentence if there is no page. Raises ValueError for a page without a table."""
    if not document.exists():
        return NOTHING
    lines = document.read_text().splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("|")), None)
    if first is None:
        raise ValueError(f"{document} has no table")
    after = next((number for number in range(first, len(lines)) if not lines[number].startswith("|")), len(lines))
    return "\n".join(lines[first:after])


def put_table(text: str, table: str) -> str:
    """`text` with `table` between the two markers. Raises ValueError if a marker is missing."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{table}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(put_table(README.read_text(), read_table()))
