"""`python -m tests.autobahn`: runs Autobahn's cases against the server's WebSocket class, and writes docs/autobahn.md.

Autobahn's test suite needs Python 2.7. It is installed from PyPI into var/autobahn/ the first time.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from tests.sites.processes import ROOT, Program, free_port

HOME = ROOT / "var" / "autobahn"
WSTEST = HOME / "venv" / "bin" / "wstest"
REPORTS = HOME / "reports"
PAGE = ROOT / "docs" / "autobahn.md"
AGENT = "serve"
SUITE = "autobahntestsuite==25.10.1"
LEFT_OUT = ["12.*", "13.*"]
GROUPS = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing",
    "9": "limits and performance",
    "10": "automatic fragmentation",
}
OUTCOMES = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED")

Outcomes = Mapping[str, Counter[str]]  # group to numbers of cases


def main() -> int:
    if not WSTEST.exists():
        python = find_python()
        if python is None:
            print("Python 2.7 is not there, and Autobahn's test suite needs it: install it, or set PYTHON27=<path>.")
            return 1
        install(python)
    cases = run()
    outcomes = count(cases)
    bad = sorted(case for case, outcome in cases.items() if outcome not in ("OK", "NON-STRICT", "INFORMATIONAL"))
    PAGE.write_text(write_page(outcomes))
    print(f"{len(cases)} cases: {dict(sum(outcomes.values(), Counter()))}. The table is in {PAGE.relative_to(ROOT)}.")
    print(*[f"not passed: {case}" for case in bad], sep="\n")
    return 1 if bad else 0


def find_python() -> str | None:
    """A Python 2.7 that runs: pyenv has a `python2.7` that only says where the real one is."""
    named = [os.environ.get("PYTHON27"), shutil.which("python2.7"), shutil.which("python2")]
    others = (Path.home() / ".pyenv" / "versions").glob("2.7*/bin/python")
    return next((path for path in [*filter(None, named), *map(str, others)] if is_python27(path)), None)


def is_python27(path: str) -> bool:
    asked = subprocess.run([path, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, check=False)
    return asked.stdout.strip() == b"(2, 7)"


def install(python: str) -> None:
    """Raises CalledProcessError if a package cannot be had."""
    tools = str(HOME / "tools")
    # 20.21 is the last version that makes environments for Python 2.7.
    run_tool(python, "-m", "pip", "install", "--quiet", "--target", tools, "virtualenv<20.22")
    run_tool(python, "-m", "virtualenv", "--quiet", str(HOME / "venv"), PYTHONPATH=tools)
    run_tool(str(HOME / "venv" / "bin" / "pip"), "install", "--quiet", SUITE)


def run_tool(*command: str, **environment: str) -> None:
    subprocess.run(command, check=True, env={**os.environ, **environment})


class Echo(Program):
    """The application that sends everything back."""

    def __init__(self) -> None:
        port = free_port()
        command = [sys.executable, "-m", "tests.autobahn.echo", str(port)]
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "DEBUG": "1"}
        super().__init__("echo", command, port=port, cwd=ROOT, env=env)


def run() -> dict[str, str]:
    """Run all cases, which takes about a minute. Returns the outcome of each."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    with Echo() as echo:
        spec = HOME / "spec.json"
        server = {"agent": AGENT, "url": f"ws://127.0.0.1:{echo.port}"}
        spec.write_text(
            json.dumps(
                {
                    "outdir": str(REPORTS),
                    "servers": [server],
                    "cases": ["*"],
                    "exclude-cases": LEFT_OUT,
                    "exclude-agent-cases": {},
                }
            )
        )
        subprocess.run([WSTEST, "-m", "fuzzingclient", "-s", spec], check=True, cwd=HOME, stdout=subprocess.DEVNULL)
    report = json.loads((REPORTS / "index.json").read_text())[AGENT]
    return {case: worse(found["behavior"], found["behaviorClose"]) for case, found in report.items()}


def worse(*outcomes: str) -> str:
    """The worst of the outcomes of one case: that of its messages, and that of its close."""
    return max(outcomes, key=lambda outcome: OUTCOMES.index(outcome) if outcome in OUTCOMES else len(OUTCOMES))


def count(cases: Mapping[str, str]) -> Outcomes:
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for case, outcome in cases.items():
        groups[case.partition(".")[0]][outcome if outcome in OUTCOMES else "FAILED"] += 1
    return groups


def write_page(outcomes: Outcomes) -> str:
    rows = [
        [f"{group}: {GROUPS.get(group, '')}", *(str(outcomes[group][name]) for name in OUTCOMES)]
        for group in sorted(outcomes, key=int)
    ]
    total = sum(outcomes.values(), Counter[str]())
    rows.append(["all", *(str(total[name]) for name in OUTCOMES)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in [["cases", *OUTCOMES], ["---"] * (1 + len(OUTCOMES)), *rows])
    page = ROOT / "tests" / "autobahn" / "page.md"
    return page.read_text().format(versions=describe_versions(), table=table)


def describe_versions() -> str:
    names: Iterable[str] = ("uvicorn", "websockets", "uvloop")
    ours = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{SUITE.replace('==', ' ')}; Python {sys.version.split()[0]}, {ours}"


if __name__ == "__main__":
    sys.exit(main())
