#!/usr/bin/env python3
"""How long files and functions of src/ may be (CONTRIBUTING.md), and that every file says what it is.

Functions are measured by universal-ctags (the `end` field)."""
import json
import pathlib
import subprocess
import sys

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
BANNED = ("strcpy(", "strcat(", "sprintf(", "gets(", "strtok(", "alloca(", " rand(")


def functions(paths):
    command = ["ctags", "--output-format=json", "--fields=+ne", "--kinds-C=f", "-o", "-", *map(str, paths)]
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        tag = json.loads(line)
        if "end" in tag:
            yield tag["path"], tag["name"], tag["end"] - tag["line"] + 1


def main():
    paths = sorted(pathlib.Path("src").rglob("*.[ch]"))
    wrong = []
    for path in paths:
        text = path.read_text()
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            wrong.append(f"{path}: {lines} lines; {FILE_LINES_MAX} at most")
        if not text.startswith("/*"):
            wrong.append(f"{path}: a file opens with a comment that says what it does")
        for word in BANNED:
            for number, line in enumerate(text.splitlines(), 1):
                at = line.find(word)
                if at >= 0 and (at == 0 or not (line[at - 1].isalnum() or line[at - 1] == "_")):
                    wrong.append(f"{path}:{number}: {word.strip()}…) is banned")
    lengths = []
    for path, name, length in functions(p for p in paths if p.suffix == ".c"):
        lengths.append(length)
        if length > FUNCTION_LINES_MAX:
            wrong.append(f"{path}: {name} has {length} lines; {FUNCTION_LINES_MAX} at most")
    lengths.sort()
    print("\n".join(wrong))
    print(f"{len(paths)} files, {len(lengths)} functions, median {lengths[len(lengths) // 2]} lines, "
          f"nine in ten under {lengths[len(lengths) * 9 // 10] + 1}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
