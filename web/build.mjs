// Builds the web app: `npm run build`, or `node build.mjs --out DIR [--depfile FILE --target NAME]`.
//
// Output (default ../build/web, or $TUTTI_WEB_OUT): index.html with {{base}} where the server puts its
// base path, assets/NAME-HASH.ext (safe to cache for ever), and the files of public/ as they are.
import { build } from 'esbuild';
import { readFileSync, writeFileSync, readdirSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
}

const out = resolve(option('out', process.env.TUTTI_WEB_OUT ?? join(here, '../build/web')));
const depfile = option('depfile');

function walk(directory) {
  return readdirSync(directory)
    .sort()
    .flatMap((name) => {
      const path = join(directory, name);
      return statSync(path).isDirectory() ? walk(path) : [path];
    });
}

async function bundle() {
  const result = await build({
    absWorkingDir: here,
    entryPoints: { app: 'src/main.tsx' },
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: ['chrome100', 'firefox100', 'safari15.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    outdir: out,
    entryNames: 'assets/[name]-[hash]',
    chunkNames: 'assets/[name]-[hash]',
    assetNames: 'assets/[name]-[hash]',
    legalComments: 'none', // licenses.txt has the whole texts
    metafile: true,
    logLevel: 'warning',
  });
  return result.metafile;
}

/** The names of the entry's script and style, and the scripts it will want soon. */
function names(metafile) {
  const entry = Object.entries(metafile.outputs).find(([, o]) => o.entryPoint === 'src/main.tsx');
  const path = (name) => relative(out, join(here, name));
  return {
    script: path(entry[0]),
    style: path(entry[1].cssBundle),
    soon: entry[1].imports.map((i) => path(i.path)),
  };
}

function page({ script, style, soon }) {
  const preload = soon.map((name) => `<link rel="modulepreload" href="${name}">`).join('\n    ');
  return readFileSync(join(here, 'src/index.html'), 'utf8')
    .replace('{{style}}', style)
    .replace('{{script}}', script)
    .replace('{{preload}}', preload);
}

function writePublic() {
  const from = join(here, 'public');
  for (const path of walk(from)) {
    const to = join(out, relative(from, path));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, readFileSync(path));
  }
}

/** The licences of what is in the bundle. */
function writeLicenses() {
  const texts = ['preact', 'hls.js'].map((name) => {
    const text = readFileSync(join(here, 'node_modules', name, 'LICENSE'), 'utf8');
    return `${name}\n${'='.repeat(name.length)}\n${text}`;
  });
  writeFileSync(join(out, 'assets/licenses.txt'), texts.join('\n\n'));
}

function writeDepfile(metafile) {
  const inputs = [
    ...Object.keys(metafile.inputs).map((name) => join(here, name)),
    ...walk(join(here, 'public')),
    ...['src/index.html', 'build.mjs', 'package-lock.json'].map((name) => join(here, name)),
  ];
  writeFileSync(depfile, `${option('target')}: ${inputs.join(' ')}\n`);
}

rmSync(out, { recursive: true, force: true });
const metafile = await bundle();
writeFileSync(join(out, 'index.html'), page(names(metafile)));
writePublic();
writeLicenses();
if (depfile) {
  writeDepfile(metafile);
}
