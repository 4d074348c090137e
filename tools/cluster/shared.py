"""What the cluster shares with others: the starters of engines in tests/engines, the templates of deploy/. Imported first: it
makes them importable, and fills templates in."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
sys.path[1:1] = [str(ROOT / "tests" / "engines"), str(DEPLOY)]

import render  # noqa: E402


def filled(template, **values):
    """A template of deploy/ (its path there) with the values in place; a value may be a list."""
    given = {name: value if isinstance(value, list) else [str(value)] for name, value in values.items()}
    return render.render((DEPLOY / template).read_text(), given)
