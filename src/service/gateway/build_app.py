#!/usr/bin/python3
"""Builds the web app and turns its files into a C source.

    build_app.py --web DIR --embed EMBED.py --out DIR -o OUT.c --depfile FILE

Runs `npm ci` in DIR where node_modules is not what package-lock.json asks for, then the app's own
build into --out, then embed.py over what came out. The depfile names every source of the bundle.
"""
import argparse
import filecmp
import os
import shutil
import subprocess
import sys


def run(command, directory):
    """Quiet unless it fails."""
    done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f'build_app.py: {" ".join(command)} failed:\n{done.stdout}')


def install(web):
    """node_modules as the lock file says. The copy of the lock inside tells what is there."""
    lock = os.path.join(web, 'package-lock.json')
    there = os.path.join(web, 'node_modules', '.tutti-lock.json')
    if os.path.exists(there) and filecmp.cmp(lock, there, shallow=False):
        return
    if shutil.which('npm') is None:
        sys.exit('build_app.py: npm is missing; on Debian: apt-get install nodejs npm')
    run(['npm', 'ci', '--no-audit', '--no-fund'], web)
    shutil.copyfile(lock, there)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('--web', '--embed', '--out', '--output', '--depfile'):
        parser.add_argument(name, *(['-o'] if name == '--output' else []), required=True)
    options = parser.parse_args()
    install(options.web)
    run(['node', 'build.mjs', '--out', os.path.abspath(options.out),
         '--depfile', os.path.abspath(options.depfile), '--target', options.output], options.web)
    files = [os.path.join(folder, name) for folder, _, names in os.walk(options.out)
             for name in names]
    run([sys.executable, options.embed, 'files', '--name', 'app', '--root', options.out,
         '-o', options.output] + files, None)


if __name__ == '__main__':
    main()
