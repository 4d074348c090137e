// A cover to upload: a PNG, written here (RFC 2083).
import * as zlib from 'node:zlib';

const crcTable = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) {
    c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  }
  return c >>> 0;
});

/** Node 18's zlib has no crc32. */
const checksum = zlib.crc32 ?? ((data) => ~data.reduce((c, byte) => crcTable[(c ^ byte) & 255] ^ (c >>> 8), ~0) >>> 0);

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(checksum(body), body.length + 4);
  return whole;
}

/** Hills under a low sun. */
export function cover(side = 640) {
  const rows = Buffer.alloc(side * (side * 3 + 1));
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const [u, v] = [x / side, y / side];
      const sun = Math.hypot(u - 0.66, v - 0.42) < 0.13;
      const layer = [0.58, 0.7, 0.83].filter((h, i) => v > h + 0.05 * Math.sin(u * (5 + 3 * i) + 2 * i)).length;
      const colour = layer > 0 ? [[0, 0, 0], [176, 92, 96], [112, 58, 86], [58, 36, 66]][layer] : sun ? [255, 226, 170] : [246 - 60 * v, 150 + 60 * v, 120 + 70 * v];
      rows.set(colour.map(Math.round), y * (side * 3 + 1) + 1 + x * 3);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', zlib.deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}
