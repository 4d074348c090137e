#!/usr/bin/python3
"""Turns files into C sources at build time: migrations and the web app's assets.

    embed.py schema --component NAME -o OUT.c schema/001-first.sql schema/002-next.sql …
    embed.py files --name NAME --root DIR -o OUT.c FILE…

`schema` writes `NAME_migrations[]` and `NAME_migration_count` (struct db_migration, backend/db/db.h).
`files` writes `NAME_files[]` and `NAME_file_count` (struct embed_file, base/embed.h), sorted by path,
each with its media type, an ETag and, where it is smaller, a gzip'd variant. The output depends on
the input alone. See tools/README.md for the meson lines. Standard library only.
"""
import argparse
import gzip
import hashlib
import os
import re
import sys

# One line of a C string; long texts are many adjacent literals, which the compiler joins.
LITERAL_BYTES = 80
PRAGMA = '#pragma GCC diagnostic ignored "-Woverlength-strings"\n'

MEDIA_TYPES = {
    '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
    '.mjs': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8',
    '.json': 'application/json', '.map': 'application/json', '.txt': 'text/plain; charset=utf-8',
    '.svg': 'image/svg+xml', '.png': 'image/png', '.jpg': 'image/jpeg', '.webp': 'image/webp',
    '.ico': 'image/x-icon', '.woff2': 'font/woff2', '.wasm': 'application/wasm',
    '.webmanifest': 'application/manifest+json', '.xml': 'application/xml',
    '.yaml': 'application/yaml',
}


def fail(words):
    sys.exit('embed.py: ' + words)


def c_string(data):
    """The bytes as adjacent C string literals. Octal escapes have exactly three digits, so that a
    digit behind one can't become part of it; a question mark is escaped against trigraphs."""
    def character(byte):
        if byte in b'"\\?':
            return '\\' + chr(byte)
        if byte == 10:
            return '\\n'
        return chr(byte) if 32 <= byte < 127 else f'\\{byte:03o}'
    rows = [data[i:i + LITERAL_BYTES] for i in range(0, len(data), LITERAL_BYTES)] or [b'']
    return '\n'.join('    "' + ''.join(map(character, row)) + '"' for row in rows)


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def schema(options):
    rows, numbers = [], []
    for path in sorted(options.inputs, key=os.path.basename):
        match = re.fullmatch(r'(\d+)-[a-z0-9-]+\.sql', os.path.basename(path))
        if not match:
            fail(f'{path}: a migration is named like 001-first-tables.sql')
        text = read(path)
        if b'\0' in text:
            fail(f'{path}: holds a NUL byte')
        numbers.append(int(match.group(1)))
        rows.append(f'    {{{numbers[-1]}, "{options.component}",\n{c_string(text)}}},\n')
    if numbers != list(range(1, len(numbers) + 1)):
        fail(f'{options.component}: migrations must be numbered 1, 2, … without gaps, not {numbers}')
    name = options.component
    return (f'#include "backend/db/db.h"\n\n{PRAGMA}\n'
            f'extern const struct db_migration {name}_migrations[];\n'
            f'extern const unsigned {name}_migration_count;\n'
            f'const struct db_migration {name}_migrations[] = {{\n{"".join(rows)}}};\n'
            f'const unsigned {name}_migration_count = {len(rows)};\n')


def files(options):
    rows = []
    for path in sorted(options.inputs, key=lambda p: os.path.relpath(p, options.root)):
        relative = os.path.relpath(path, options.root).replace(os.sep, '/')
        media_type = MEDIA_TYPES.get(os.path.splitext(path)[1])
        if relative.startswith('../') or media_type is None:
            fail(f'{path}: outside of {options.root}, or of a type not in MEDIA_TYPES')
        data = read(path)
        packed = gzip.compress(data, 9, mtime=0)
        if len(packed) >= len(data):
            packed = b''
        etag = hashlib.sha256(data).hexdigest()[:16]
        rows.append(f'    {{"{relative}", "{media_type}", "{etag}",\n     {len(data)}, {len(packed)},\n'
                    f'{c_string(data)},\n' + (c_string(packed) if packed else '    NULL') + '},\n')
    name = options.name
    return (f'#include "base/embed.h"\n\n#include <stddef.h>\n\n{PRAGMA}\n'
            f'extern const struct embed_file {name}_files[];\n'
            f'extern const unsigned {name}_file_count;\n'
            f'const struct embed_file {name}_files[] = {{\n{"".join(rows)}}};\n'
            f'const unsigned {name}_file_count = {len(rows)};\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (('schema', schema), ('files', files)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument('-o', '--output', required=True)
        command.add_argument('inputs', nargs='+')
        if run is schema:
            command.add_argument('--component', required=True)
        else:
            command.add_argument('--name', required=True)
            command.add_argument('--root', required=True)
    options = parser.parse_args()
    text = '/* Made by tools/embed.py: edit its sources instead. */\n' + options.run(options)
    with open(options.output, 'w', encoding='utf-8') as out:
        out.write(text)


if __name__ == '__main__':
    main()
