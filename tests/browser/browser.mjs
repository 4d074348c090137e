// Debian's Chromium, headless, talking to loopback alone.
import { chromium } from 'playwright-core';
import { join } from 'node:path';

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

/** Like a slow line: bytes a second to the browser. 0: as fast as it goes. */
export async function throttle(page, bytesPerSecond) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 20,
    downloadThroughput: bytesPerSecond || -1,
    uploadThroughput: -1,
  });
  return session;
}
