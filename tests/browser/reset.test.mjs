// A forgotten password, as its owner lives it: ask for the mail, open its link, choose a new one, sign in.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { complaints, openBrowser, shoot } from './browser.mjs';
import { Mailbox } from './mailbox.mjs';
import { PASSWORD, Server } from './server.mjs';

const FRESH = 'an entirely new password';

let mailbox;
let server;
let browser;
let page;
let wrong;

before(async () => {
  mailbox = await Mailbox.open();
  server = await Server.start({ environment: { TUTTI_MAIL_URL: mailbox.url, TUTTI_MAIL_FROM: 'tutti@example.org' } });
  server.addUser('boss', 'admin');
  server.addUser('anna', 'listener');
  browser = await openBrowser();
  page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'dark' });
  page.setDefaultTimeout(15_000);
  wrong = complaints(page);
});

after(async () => {
  await browser?.close();
  await server?.stop();
  mailbox?.close();
});

async function signIn(password) {
  await page.fill('input[name=username]', 'anna');
  await page.fill('input[name=password]', password);
  await page.click('button:has-text("Sign in"):not(.link)');
}

test('a forgotten password is chosen anew by mail', async () => {
  await page.goto(server.url);
  await page.click('text=Forgot your password?');
  await shoot(page, 'forgot');
  await page.fill('input[name=username]', 'anna@example.org');
  await page.click('text=Send the mail');
  await page.waitForSelector('text=a mail is on its way');

  const link = /http\S+/.exec((await mailbox.text()).split('\n\n')[2])?.[0];
  assert.ok(link?.startsWith(`${server.url}/#/reset/`), link);
  await page.goto('about:blank');
  await page.goto(link);
  await page.waitForSelector('text=A new password');
  await shoot(page, 'reset');
  await page.fill('input[name=password]', FRESH);
  await page.click('text=Set the password');
  await page.waitForSelector('text=The new password is set');
  assert.equal(await page.evaluate(() => location.hash), '', 'the token does not stay in the address');

  await signIn(PASSWORD);
  await page.waitForSelector('text=not right');
  await signIn(FRESH);
  await page.waitForSelector('header');
});

test('a link works once', async () => {
  const link = /http\S+/.exec((await mailbox.text()).split('\n\n')[2])[0];
  await page.goto('about:blank');
  await page.goto(link);
  await page.fill('input[name=password]', FRESH);
  await page.click('text=Set the password');
  await page.waitForSelector('text=is used up');
  assert.deepEqual(wrong, []);
});
