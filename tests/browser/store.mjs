// An album dropped onto the page and played from it, where objects are in an S3 store: store.mjs URL USER PASSWORD SOUND
//
// SOUND is a file; USER an artist. Prints one JSON line of what the browser exchanged: {"requests": [{"method", "host",
// "path", "status", "sent", "received"}, …], "heardS", "wrong": […]}. For tests/journey/test_objects.py.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { complaints, drop, openBrowser, shoot } from './browser.mjs';

const [url, username, password, sound] = process.argv.slice(2);
const READY_MS = 120_000;
const HEARD_S = 3;

async function describe(request) {
  const { host, pathname } = new URL(request.url());
  const [answer, sizes] = [await request.response(), await request.sizes().catch(() => null)];
  const sent = Number((await request.allHeaders())['content-length'] ?? 0); // sizes() knows no Blob's
  return { method: request.method(), host, path: pathname, status: answer?.status() ?? 0, sent, received: sizes?.responseBodySize ?? 0 };
}

const browser = await openBrowser();
const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
try {
  page.setDefaultTimeout(30_000);
  const wrong = complaints(page);
  const described = [];
  page.on('requestfinished', (request) => described.push(describe(request)));

  await page.goto(url);
  await page.fill('input[name=username]', username);
  await page.fill('input[name=password]', password);
  await page.click('.door form .primary');
  await page.click('nav >> text=Upload');
  await page.waitForSelector('.drop');
  await drop(page, [sound]);
  await page.waitForSelector('.edit-row');
  await page.fill('input[name=artist]', 'Straight');
  await page.fill('input[name=album]', 'To the Store');
  await page.click('.upload-form .primary');
  await page.waitForSelector('.send-row.ready', { timeout: READY_MS });
  await page.click('text=Open the album');
  await page.click('.button.play');
  const heard = () => page.$$eval('audio', (all) => Math.max(...all.map((audio) => audio.currentTime)));
  for (const until = Date.now() + READY_MS; (await heard()) < HEARD_S; await sleep(50)) {
    assert.ok(Date.now() < until, 'nothing is heard');
  }
  await shoot(page, 'store-playing');
  const heardS = await heard();
  await page.click('.account > button');
  const requests = await Promise.all(described); // each told whole, however late
  console.log(JSON.stringify({ requests, heardS, wrong }));
} catch (error) {
  await shoot(page, 'store-failed');
  throw error;
} finally {
  await browser.close();
}
