#!/usr/bin/env python3
"""Fills the templates of deploy/ in: render.py TEMPLATE [NAME=VALUE[,VALUE…]]… > FILE

A template says what it takes in lines that begin with "#:", a name a line, with what it means and its default:

    #: ORIGIN               addresses of the origin's processes, HOST:PORT
    #: GRACE = 7d           how long …

and names it as @ORIGIN@. A line that names a list is written once for each of its values; of a value HOST:PORT,
@ORIGIN.host@ and @ORIGIN.port@ are the parts, and @ORIGIN.n@ is its number from 1. An empty list leaves its lines
out. A name that is not given and has no default, or one that the template does not know, is an error (exit 2).
"""
import pathlib
import re
import sys

DECLARED = re.compile(r"^#: ([A-Z][A-Z0-9_]*)(?: = (\S*))?(?:[ \t].*)?$", re.M)
NAMED = re.compile(r"@([A-Z][A-Z0-9_]*)(?:\.(host|port|n))?@")


def part(value, number, kind):
    if kind == "n":
        return str(number)
    if kind is None:
        return value
    host, _, port = value.rpartition(":")
    return host.strip("[]") if kind == "host" else port


def fill_line(line, values):
    names = {name for name, _ in NAMED.findall(line)}
    unknown = names - values.keys()
    if unknown:
        raise ValueError(f"the template names {', '.join(sorted(unknown))}, which no line of its head declares")
    lists = [name for name in names if len(values[name]) != 1]
    if len(lists) > 1:
        raise ValueError(f"a line can't be repeated for {' and '.join(sorted(lists))} at once")
    count = len(values[lists[0]]) if lists else 1
    def value_of(name, turn):
        return values[name][turn if name in lists else 0]
    return [NAMED.sub(lambda match: part(value_of(match[1], turn), turn + 1, match[2]), line) for turn in range(count)]


def render(text, given):
    """The template's text with lists of values in place: {"ORIGIN": ["127.0.0.1:4040"]}. ValueError in words."""
    declared = dict(DECLARED.findall(text))
    defaults = {name: [value] for name, value in declared.items() if f"#: {name} =" in text}
    unknown = given.keys() - declared.keys()
    if unknown:
        raise ValueError(f"it takes no {', '.join(sorted(unknown))}; it takes {', '.join(declared)}")
    missing = declared.keys() - defaults.keys() - given.keys()
    if missing:
        raise ValueError(f"it needs {', '.join(sorted(missing))}")
    values = {**defaults, **given}
    lines = [line for line in text.splitlines() if not line.startswith("#:")]
    return "".join(filled + "\n" for line in lines for filled in fill_line(line, values))


def main():
    if len(sys.argv) < 2 or any("=" not in word for word in sys.argv[2:]):
        sys.exit(__doc__)
    given = {}
    for word in sys.argv[2:]:
        name, _, value = word.partition("=")
        given[name] = [one.strip() for one in value.split(",") if one.strip()]
    try:
        sys.stdout.write(render(pathlib.Path(sys.argv[1]).read_text(), given))
    except (OSError, ValueError) as error:
        print(f"render: {sys.argv[1]}: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
