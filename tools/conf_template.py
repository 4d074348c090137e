#!/usr/bin/env python3
"""Writes the tutti.conf that a package installs: every setting of src/boot/config.h with its default, all commented
out, so that the file changes nothing until somebody changes it."""
import sys

import man_conf


def main():
    lines = ["# Configuration of Tutti: tutti.conf(5) says more. What is commented out is the default; the environment",
             "# (TUTTI_SECTION_KEY) and flags go before this file. `tutti config check` reads it without a start."]
    section = None
    for _, name, key, _, default, _, _, live, words in man_conf.read_rows(sys.argv[1]):
        if name != section:
            section = name
            lines += ["", f"[{section}]"]
        text = man_conf.text_of(words)
        lines += [f"# {text[0].upper()}{text[1:]}." + (" (Reread on reload.)" if live == "true" else ""),
                  f"#{key} = {default}"]
    open(sys.argv[2], "w").write("\n".join(lines) + "\n")


main()
