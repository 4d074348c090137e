// Time to first audio in Chromium: first_audio.mjs URL USER PASSWORD TRACK [COUNT]
//
// Opens the app's page of the track's album, signed in, and clicks on the track, COUNT times, each time on a page
// that was just loaded, nothing of it from the browser's cache. Time runs from the click, as the page's own event says, to the first moment that an audio
// element's currentTime is past 0. The pointer rests on the track before the click, as a hand's does; "cold" clicks come
// without that, so nothing but what the album's page asks for by itself is there. Prints one JSON line: {"ms": […], "coldMs": […]}.
import { setDefaultResultOrder } from 'node:dns';
import { createRequire } from 'node:module';

setDefaultResultOrder('ipv4first'); // Node 18 tries no second address, and localhost may be ::1 first

const require = createRequire(new URL('../tests/browser/', import.meta.url));
const { chromium } = require('playwright-core');

const [url, username, password, trackId, countText = '50'] = process.argv.slice(2);
const count = Number(countText);
const REST_MS = 250;

async function api(method, path, token, json) {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(url + path, { method, headers, body: json && JSON.stringify(json) });
  if (!response.ok) {
    throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  }
  return response.json();
}

/** In the page: remembers when the button was clicked and when sound moved on. */
function watch() {
  const seen = { clicked: 0, heard: 0 };
  window.firstAudio = seen;
  const look = () => {
    if ([...document.querySelectorAll('audio')].some((audio) => audio.currentTime > 0)) {
      seen.heard = performance.now();
    } else {
      setTimeout(look, 0);
    }
  };
  const start = (event) => {
    if (event.target.closest('.row-play')) {
      seen.clicked = event.timeStamp;
      look();
    }
  };
  document.addEventListener('click', start, { capture: true });
}

async function once(page, session, album, at, warm) {
  await page.mouse.move(0, 0);
  await session.send('Network.clearBrowserCache');
  await page.goto(`${url}/album/${album}`);
  const button = page.locator('.row-play').nth(at);
  await button.waitFor();
  await page.evaluate(watch);
  await page.waitForTimeout(REST_MS); // the page has settled
  if (warm) {
    await button.hover();
    await page.waitForTimeout(REST_MS);
    await page.mouse.down();
    await page.mouse.up();
  } else {
    await button.evaluate((element) => element.click());
  }
  await page.waitForFunction(() => window.firstAudio.heard > 0, null, { timeout: 10_000 });
  return page.evaluate(() => window.firstAudio.heard - window.firstAudio.clicked);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
});
try {
  const { accessToken } = await api('POST', '/api/v1/auth/login', '', { username, password });
  const { albumId } = await api('GET', `/api/v1/tracks/${trackId}`, accessToken);
  const { items } = await api('GET', `/api/v1/albums/${albumId}/tracks?limit=500`, accessToken);
  const at = items.findIndex((track) => track.id === trackId);
  const page = await (await browser.newContext()).newPage();
  await page.goto(url);
  await page.waitForSelector('.door .primary:enabled');
  if (await page.isVisible('input[name=code]')) {
    await page.click('.door-foot .link'); // no admin yet: past the set-up
  }
  await page.fill('input[name=username]', username);
  await page.fill('input[name=password]', password);
  await page.click('.door form .primary');
  await page.waitForSelector('.account');
  const session = await page.context().newCDPSession(page);
  const ms = [];
  const coldMs = [];
  for (let turn = 0; turn < count; turn += 1) {
    ms.push(await once(page, session, albumId, at, true));
    coldMs.push(await once(page, session, albumId, at, false));
  }
  console.log(JSON.stringify({ ms, coldMs }));
} finally {
  await browser.close();
}
