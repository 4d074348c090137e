// Runs the unit tests: bundles each tests/*.test.ts for Node and hands them to node:test.
import { build } from 'esbuild';
import { readdirSync, mkdtempSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const directory = mkdtempSync(join(tmpdir(), 'tutti-web-test-'));
const tests = readdirSync('tests').filter((name) => name.endsWith('.test.ts'));
await build({
  entryPoints: tests.map((name) => join('tests', name)),
  outdir: directory,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  logLevel: 'warning',
});
const files = tests.map((name) => join(directory, name.replace(/\.ts$/, '.mjs')));
const { status } = spawnSync(process.execPath, ['--test', ...files], {
  stdio: 'inherit',
  timeout: 120_000,
});
rmSync(directory, { recursive: true });
process.exit(status ?? 1);
