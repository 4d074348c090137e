#!/usr/bin/env python3
"""Writes tutti.conf(5) from the table of settings in src/boot/config.h, so that the page can't drift."""
import re
import sys

ROW = re.compile(r'X\(\s*(CONFIG_\w+),\s*"(\w+)",\s*"(\w+)",\s*CONFIG_(\w+),\s*"([^"]*)",\s*(\d+),\s*(\d+),\s*(\w+),\s*'
                 r'((?:"[^"]*"\s*)+)\)', re.S)
KINDS = {"TEXT": "text", "URL": "text", "SECRET": "text", "SWITCH": "yes or no"}
SECTIONS = {
    "server": "How clients reach the server.",
    "log": "What is logged, to standard error.",
    "trace": "Where spans of requests, writes and media jobs are sent (OpenTelemetry\'s OTLP over HTTP). A request that "
             "brings a traceparent is recorded if that says so, others by ratio; the collector\'s pace delays nobody.",
    "limits": "What a process takes on. Rates hold per user, else per address (of IPv6: per /64), for each class of "
              "operation; a sixth of a minute's may come at once. Answers say RateLimit-Limit (the most at once), "
              "RateLimit-Remaining and RateLimit-Reset (seconds until all is there again); a refusal is 429, or 503 from "
              "the object store, with Retry-After. Rates tighten when requests wait for a worker: at a delay D beyond "
              "n times tighten_delay_ms, n times tighten_delay_ms / D of a rate is left, at least an eighth; n is 1 for "
              "uploads and objects, 2 for reads and writes, 4 for log\\-ins (by the delay of hash_threads) and 8 for "
              "plays. Memory stays below 64 MB + connections times 32 KB + request_memory, with the caches as they are by "
              "default.",
    "database": "Where rows are kept.",
    "blob": "Where objects are kept.",
    "cache": "What is kept in memory.",
    "bus": "How events travel.",
    "search": "Where names are found.",
    "keys": "Where signing keys are kept.",
    "edge": "The edges before the media: what they are told.",
    "mail": "How mail is sent.",
    "plan": "What listeners may do.",
    "import": "Folders of music (tutti import, and those that the server itself follows).",
    "ingest": "What artists may upload.",
    "transcode": "How uploads are worked on.",
}


def escape(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def read_rows(path):
    """The settings, a tuple each."""
    rows = ROW.findall(open(path).read().replace("\\\n", "\n"))
    if not rows:
        sys.exit("no settings found")
    return rows


def text_of(words):
    return "".join(re.findall(r'"([^"]*)"', words))


def main():
    lines = ['.TH TUTTI.CONF 5 "2026" "Tutti" "File formats"', ".SH NAME",
             "tutti.conf \\- configuration of tutti", ".SH DESCRIPTION",
             "Settings come from built-in defaults, then this file (\\fI/etc/tutti/tutti.conf\\fR or \\fB\\-\\-config\\fR),",
             "then the environment (\\fBTUTTI_SECTION_KEY\\fR), then flags; later ones win. The file has sections,",
             "\\fB[section]\\fR, with settings, \\fBkey = value\\fR; lines that begin with # or ; are comments. Numbers take",
             "K, M and G. An unknown setting or a wrong value stops the start with the place and what would be right.",
             "SIGHUP applies what is marked live."]
    section = None
    for _, name, key, kind, default, low, high, live, words in read_rows(sys.argv[1]):
        if name != section:
            section = name
            lines += [f".SH [{section}]", SECTIONS[section]]
        text = text_of(words)
        facts = [f"{low} to {high}" if kind == "NUMBER" else KINDS[kind]]
        facts.append(f"default {default}" if default else "default empty")
        if live == "true":
            facts.append("live")
        lines += [".TP", f".B {key}", escape(f"{text[0].upper()}{text[1:]}. ({', '.join(facts)})")]
    lines += [".SH SEE ALSO", ".BR tutti (1)"]
    open(sys.argv[2], "w").write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
