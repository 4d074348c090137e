// Debian's Chromium, headless, talking to loopback alone.
import { chromium } from 'playwright-core';
import { join } from 'node:path';
import { PASSWORD } from './server.mjs';

const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
];

export function openBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGUMENTS });
}

export function shoot(page, name) {
  return page.screenshot({ path: join(process.env.SHOTS ?? '/tmp', `${name}.png`) });
}

/** A device of its own, on which somebody is signed in. Its `wrong` has what the page complained about. */
export async function device(browser, server, username, viewport = { width: 1280, height: 800 }, options = {}) {
  const context = await browser.newContext({ viewport, colorScheme: 'dark', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.wrong = complaints(page);
  await page.goto(server.url);
  await page.fill('input[name=username]', username);
  await page.fill('input[name=password]', PASSWORD);
  await page.click('.door form .primary');
  await page.waitForSelector('nav[aria-label="Main"]');
  return page;
}

export const texts = (page, selector) => page.$$eval(selector, (all) => all.map((one) => one.textContent.trim()));

/** Collects what a page complains about. */
export function complaints(page) {
  const all = [];
  page.on('pageerror', (error) => all.push(`exception: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/net::ERR_|status of 4/.test(message.text())) {
      all.push(`console: ${message.text()}`);
    }
  });
  return all;
}

/** A page of ours at the server's address: its own page lets no foreign script run. */
export async function blankPage(page, url, body) {
  await page.route('**/blank', (route) => route.fulfill({ contentType: 'text/html', body }));
  await page.goto(`${url}/blank`);
}

/** Drops files or folders from the disk onto the page, as a file manager would. */
export async function drop(page, paths) {
  const session = await page.context().newCDPSession(page);
  const { width, height } = page.viewportSize();
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    const data = { items: [], files: paths, dragOperationsMask: 1 };
    await session.send('Input.dispatchDragEvent', { type, x: width / 2, y: height / 2, data });
  }
}

/** A line whose speed can be set: answers a function of bytes a second. */
export async function slowLine(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  return (downloadThroughput) =>
    session.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 20,
      downloadThroughput,
      uploadThroughput: -1,
    });
}
