// node record.mjs FOLDER: reads {name: plan} from FOLDER/plans.json, plays one after another, each in a headless Chromium
// of its own, from a server of FOLDER on loopback, and writes FOLDER/name.f32 (interleaved stereo) and FOLDER/results.json.
// A take that came to nothing has {failed: why} for its result.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import path from "node:path";

const here = path.dirname(fileURLToPath(import.meta.url));
const modules = path.join(here, "../../browser/node_modules");
const { chromium } = createRequire(path.join(here, "../../browser/package.json"))("playwright-core");
const folder = path.resolve(process.argv[2]);
const libraries = {
    hls: "hls.js/dist/hls.min.js",
    shaka: "shaka-player/dist/shaka-player.compiled.js",
    dash: "dashjs/dist/modern/umd/dash.all.min.js",
};
const types = { ".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml", ".mp4": "audio/mp4" };

async function answer(request, response) {
    const name = decodeURIComponent(new URL(request.url, "http://x").pathname);
    if (name === "/") {
        response.setHeader("Content-Type", "text/html");
        return response.end(`<!doctype html><script>${await readFile(path.join(here, "page.js"))}</script>`);
    }
    const bytes = await readFile(path.join(folder, path.basename(path.dirname(name)), path.basename(name)));
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    response.statusCode = range ? 206 : 200;
    response.setHeader("Content-Type", types[path.extname(name)] ?? "application/octet-stream");
    if (range) response.setHeader("Content-Range", `bytes ${range[1]}-${Math.min(range[2], bytes.length - 1)}/${bytes.length}`);
    response.end(range ? bytes.subarray(Number(range[1]), Number(range[2]) + 1) : bytes);
}

const server = createServer((request, response) => answer(request, response).catch(() => {
    response.statusCode = 404;
    response.end();
}));
await new Promise((resolve) => server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", resolve));

// Real sound takes real time, and a starved machine longer; that nothing at all happens for so long is a take stuck.
const PATIENCE = 60_000;

// A promise that fails once the page has told nothing for PATIENCE, and the function that the page tells by.
function watch() {
    let told = "nothing yet", timer, alive;
    const stuck = new Promise((_, reject) => {
        alive = (text) => {
            told = text;
            clearTimeout(timer);
            timer = setTimeout(() => reject(new Error(`nothing happened for ${PATIENCE / 1000} s; the last was: ${told}`)), PATIENCE);
        };
        alive(told);
    });
    return { stuck, alive, stop: () => clearTimeout(timer) };
}

async function record(browser, alive, name, plan) {
    const page = await browser.newPage();
    await page.exposeFunction("alive", alive);
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    if (plan.player) await page.addScriptTag({ path: path.join(modules, libraries[plan.player]) });
    const { recording, ...result } = await page.evaluate((plan) => (plan.player ? recordPlayer(plan) : record(plan)), plan);
    await writeFile(path.join(folder, `${name}.f32`), Buffer.from(recording, "base64"));
    return result;
}

async function play(name, plan) {
    const TMPDIR = await mkdtemp(path.join(tmpdir(), "tutti-record-")); // what a killed Chromium leaves goes with it
    const chrome = await chromium.launchServer({
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
        env: { ...process.env, TMPDIR },
    });
    const watched = watch();
    try {
        const browser = await chromium.connect(chrome.wsEndpoint());
        return await Promise.race([record(browser, watched.alive, name, plan), watched.stuck]);
    } catch (error) {
        return { failed: error.message };
    } finally {
        await chrome.kill();
        watched.stop();
        await rm(TMPDIR, { recursive: true, force: true, maxRetries: 10 });
    }
}

try {
    const plans = Object.entries(JSON.parse(await readFile(path.join(folder, "plans.json"), "utf8")));
    const results = [];
    for (const [name, plan] of plans) results.push([name, await play(name, plan)]);
    await writeFile(path.join(folder, "results.json"), JSON.stringify(Object.fromEntries(results)));
} finally {
    server.close();
}
