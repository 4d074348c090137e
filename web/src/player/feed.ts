// What fills an audio element with a track: hls.js, or the element itself where it plays the address as it is.
import Hls, { type ErrorData, type HlsConfig } from 'hls.js/light';
import type { Stream } from '../types';
import { exactEnd, levelFor, rungOf, type Choice } from './quality';
import { START_RUNG } from './sources';
import { WarmLoader } from './warm_loader';

export interface FeedEvents {
  /** What sounds from here on, kbit/s. */
  rung(rung: number): void;
  /** Nothing more comes by itself; what is buffered still sounds. The element's own errors are not told here. */
  failed(error: Error): void;
}

export interface Feed {
  /** False where the ladder, as it was when it was loaded, has no such rung. */
  choose(choice: Choice): boolean;
  /** It plays: more than the beginning is wanted. */
  hurry(): void;
  /** After a failure of the line: takes loading up again behind what is buffered. False: it must be opened anew. */
  resume(): boolean;
  /** The element lets go of all it held. */
  close(): void;
}

/** `place()` is where it will stand, in seconds, asked for as late as can be. */
export type OpenFeed = (audio: HTMLAudioElement, stream: Stream, choice: Choice, place: () => number, events: FeedEvents) => Feed;

const { fragLoadPolicy } = Hls.DefaultConfig;
const { errorRetry } = fragLoadPolicy.default;

const config: Partial<HlsConfig> = {
  loader: WarmLoader,
  autoStartLoad: false,
  enableWorker: false, // fragments pass through unchanged: a worker would only cost its start
  lowLatencyMode: false,
  startFragPrefetch: true,
  testBandwidth: false,
  abrEwmaDefaultEstimate: 2_000_000,
  maxBufferLength: 3, // until it plays: one fragment
  maxMaxBufferLength: 60,
  backBufferLength: 30,
  fragLoadPolicy: {
    default: {
      ...fragLoadPolicy.default,
      // A line that breaks is waited for; hls.js would try the other rungs at once, which are behind the same line.
      errorRetry: errorRetry && {
        ...errorRetry,
        shouldRetry: (policy, count, _isTimeout, response, retry) =>
          retry || (response?.code === 0 && count < (policy?.maxNumRetry ?? 0)),
      },
    },
  },
};

/** Buffered ahead while it plays. */
const AHEAD_S = 24;

/** hls.js would try other rungs first: their addresses have run out too. */
const isExpired = (data: ErrorData) => data.response?.code === 403;

/** The media is as good as it was, only its line is not. A request that took too long has no code. */
function isLine(data: ErrorData): boolean {
  const code = data.response?.code ?? 0;
  return data.type === Hls.ErrorTypes.NETWORK_ERROR && (code === 0 || code >= 500);
}

class HlsFeed implements Feed {
  private readonly hls = new Hls(config);
  private lineFailed = false;

  constructor(
    private readonly audio: HTMLAudioElement,
    stream: Stream,
    manifest: string,
    private choice: Choice,
    place: () => number,
    events: FeedEvents,
  ) {
    const { hls } = this;
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      hls.startLevel = levelFor(this.choice === 'auto' ? START_RUNG : this.choice, this.bandwidths());
      this.choose(this.choice);
      hls.startLoad(place());
    });
    hls.on(Hls.Events.BUFFER_CREATED, (_, { tracks }) => {
      const buffer = tracks.audio?.buffer;
      if (buffer) {
        buffer.appendWindowEnd = endOf(stream);
      }
    });
    hls.on(Hls.Events.FRAG_BUFFERED, (_, { frag }) => frag.sn !== 'initSegment' && this.goBack());
    hls.on(Hls.Events.FRAG_CHANGED, (_, { frag }) => {
      const level = hls.levels[frag.level];
      if (level) {
        events.rung(rungOf(level.averageBitrate || level.bitrate));
      }
    });
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (data.fatal || isExpired(data)) {
        this.lineFailed = isLine(data);
        events.failed(data.error);
      }
    });
    hls.attachMedia(audio);
    if (place() > 0) {
      audio.currentTime = place(); // or it would stand at 0 until its first fragment is there
    }
    hls.loadSource(manifest);
  }

  private bandwidths(): number[] {
    return this.hls.levels.map((level) => level.averageBitrate || level.bitrate);
  }

  private chosenLevel(): number {
    return this.choice === 'auto' ? -1 : levelFor(this.choice, this.bandwidths());
  }

  choose(choice: Choice): boolean {
    this.choice = choice;
    const rungs = this.bandwidths().map(rungOf);
    if (rungs.length > 0 && this.hls.nextLevel !== this.chosenLevel()) {
      this.hls.nextLevel = this.chosenLevel();
    }
    return choice === 'auto' || rungs.length === 0 || rungs.includes(choice);
  }

  /** A rung that fails makes hls.js choose by itself, for good; for one fragment that is right. (Its option
   * preserveManualLevelOnError asks for the same bytes without a pause, for ever.) */
  private goBack(): void {
    if (this.choice !== 'auto' && this.hls.autoLevelEnabled) {
      this.hls.loadLevel = this.chosenLevel();
    }
  }

  hurry(): void {
    this.hls.config.maxBufferLength = AHEAD_S;
  }

  resume(): boolean {
    const canResume = this.lineFailed && this.hls.levels.length > 0;
    if (canResume) {
      this.hls.startLoad(this.audio.currentTime, true);
    }
    return canResume;
  }

  close(): void {
    this.hls.destroy();
  }
}

/** Without this the encoder's padding, up to 23 ms, would sound after the last sample. */
function endOf(stream: Stream): number {
  const file = stream.files.find((f) => f.format === 'aac' && f.samples);
  return file?.samples ? exactEnd(file.samples, stream.durationMs) : Infinity;
}

/** An original, or HLS on an iPhone, which plays it by itself. */
function openNative(audio: HTMLAudioElement, address: string, place: () => number): Feed {
  audio.src = `${address}#t=${place()}`;
  return {
    choose: () => true,
    hurry: () => {},
    resume: () => false,
    close: () => {
      audio.removeAttribute('src');
      audio.load();
    },
  };
}

export const openFeed: OpenFeed = (audio, stream, choice, place, events) => {
  const address = new URL(stream.hls ?? stream.trackUrl, document.baseURI).href;
  return stream.hls && Hls.isSupported()
    ? new HlsFeed(audio, stream, address, choice, place, events)
    : openNative(audio, address, place);
};
