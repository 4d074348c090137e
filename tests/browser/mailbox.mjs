// A mailbox that speaks SMTP (RFC 5321) on loopback and keeps what comes.
import assert from 'node:assert/strict';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

function converse(socket, keep) {
  let input = '';
  let inData = false;
  const say = (line) => socket.write(`${line}\r\n`);
  const hear = (line) => {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === 'DATA') {
      inData = true;
      say('354 go on');
    } else if (verb === 'QUIT') {
      say('221 bye');
      socket.end();
    } else {
      say('250 ok');
    }
  };
  say('220 mailbox');
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes) => {
    input += bytes.toString('latin1');
    for (;;) {
      const border = inData ? '\r\n.\r\n' : '\r\n';
      const end = input.indexOf(border);
      if (end < 0) {
        return;
      }
      const piece = input.slice(0, end);
      input = input.slice(end + border.length);
      if (inData) {
        inData = false;
        keep(piece);
        say('250 kept');
      } else {
        hear(piece);
      }
    }
  });
}

export class Mailbox {
  static async open() {
    const box = new Mailbox();
    box.mails = [];
    box.listener = net.createServer((socket) => converse(socket, (mail) => box.mails.push(mail)));
    await new Promise((done) => box.listener.listen(0, '127.0.0.1', done));
    box.url = `smtp://127.0.0.1:${box.listener.address().port}`;
    return box;
  }

  /** The text of the first mail. Ours are base64. */
  async text(withinMs = 10_000) {
    const until = Date.now() + withinMs;
    while (this.mails.length === 0) {
      assert.ok(Date.now() < until, 'no mail came');
      await sleep(30);
    }
    const [, body] = this.mails[0].split('\r\n\r\n');
    return Buffer.from(body, 'base64').toString('utf8');
  }

  close() {
    this.listener.close();
  }
}
