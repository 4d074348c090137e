// Sounds to upload, made here: WAV files of 16 bits, two channels.

const HEADER_BYTES = 44;

/** `sample(n, channel)` in −1 … 1. */
export function wav(rate, samples, sample) {
  const data = Buffer.alloc(HEADER_BYTES + samples * 4);
  data.write('RIFF', 0);
  data.writeUInt32LE(36 + samples * 4, 4);
  data.write('WAVEfmt ', 8);
  data.writeUInt32LE(16, 16);
  data.writeUInt16LE(1, 20);
  data.writeUInt16LE(2, 22);
  data.writeUInt32LE(rate, 24);
  data.writeUInt32LE(rate * 4, 28);
  data.writeUInt16LE(4, 32);
  data.writeUInt16LE(16, 34);
  data.write('data', 36);
  data.writeUInt32LE(samples * 4, 40);
  for (let n = 0; n < samples; n += 1) {
    for (let channel = 0; channel < 2; channel += 1) {
      data.writeInt16LE(Math.round(32767 * sample(n, channel)), HEADER_BYTES + n * 4 + channel * 2);
    }
  }
  return data;
}

/** Plucked notes of a scale: something that sounds like music and compresses like it. */
export function plucked(seconds, rate = 44100, seed = 1) {
  const scale = [0, 3, 5, 7, 10, 12, 15];
  const note = (beat) => 110 * 2 ** (scale[(beat * 5 + seed * 3 + (beat >> 2)) % scale.length] / 12);
  return wav(rate, Math.round(seconds * rate), (n, channel) => {
    const t = n / rate;
    const beat = Math.floor(t * 3);
    const since = t - beat / 3;
    const tone = Math.sin(2 * Math.PI * note(beat + channel) * t) + 0.4 * Math.sin(4 * Math.PI * note(beat) * t);
    return 0.35 * tone * Math.exp(-4 * since) * Math.min(1, since * 400);
  });
}

/** A sine whose phase runs on from sample `from`: halves of it join to one. */
export function sine(hertz, rate, from, samples) {
  return wav(rate, samples, (n) => 0.5 * Math.sin((2 * Math.PI * hertz * (from + n)) / rate));
}
