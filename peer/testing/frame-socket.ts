import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { FrameReader } from '../wire/frame-reader.js';
import { CLIENT_PREFACE, FrameFlag, type FrameHeader, FrameType, frame, settingsFrame } from '../wire/frames.js';
import { encodeHeaders, type Headers } from '../wire/hpack.js';

const PATIENCE_MS = 10_000;

/** A frame as it came. The payload of DATA is without padding. */
export interface SeenFrame extends FrameHeader {
  readonly payload: Buffer;
}

/** One end of an HTTP/2 connection that says whatever a test wants it to, also what no honest program would. */
export class FrameSocket {
  readonly socket: Socket;
  /** All that came and was not yet looked at by {@link next}. */
  readonly seen: SeenFrame[] = [];
  #data: Buffer[] = [];
  readonly #news = new EventEmitter();
  #isClosed = false;

  /** `isServer` says that the preface of a client comes first. */
  constructor(socket: Socket, { isServer }: { readonly isServer: boolean }) {
    this.socket = socket;
    const reader = new FrameReader(
      {
        onData: (_id, bytes) => this.#data.push(Buffer.from(bytes)),
        onDataEnd: (streamId, length, isEnd) => {
          const flags = isEnd ? FrameFlag.endStream : 0;
          this.seen.push({ type: FrameType.data, flags, streamId, length, payload: Buffer.concat(this.#data) });
          this.#data = [];
        },
        onFrame: (header, payload) => this.seen.push({ ...header, payload }),
      },
      { maxFrameBytes: 2 ** 24, isServer },
    );
    socket.on('data', (bytes) => {
      reader.push(bytes);
      this.#news.emit('news');
    });
    // Being cut off is what many tests are about.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isClosed = true;
      this.#news.emit('news');
    });
  }

  /** Connects as a client and says hello with these settings. */
  static async hello(port: number, settings: readonly (readonly [number, number])[]): Promise<FrameSocket> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const client = new FrameSocket(socket, { isServer: false });
    client.send(CLIENT_PREFACE, settingsFrame(settings));
    return client;
  }

  send(...bytes: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** HEADERS in one frame. */
  sendHeaders(streamId: number, headers: Headers, flags: number = FrameFlag.endHeaders): void {
    this.send(frame(FrameType.headers, flags, streamId, encodeHeaders(headers)));
  }

  sendData(streamId: number, payload: Buffer, flags = 0): void {
    this.send(frame(FrameType.data, flags, streamId, payload));
  }

  /** The next frame of a type; those of other types before it are passed over. Rejects when none will come. */
  async next(type: number): Promise<SeenFrame> {
    for (;;) {
      const at = this.seen.findIndex((candidate) => candidate.type === type);
      const found = at === -1 ? undefined : this.seen.splice(0, at + 1)[at];
      if (found !== undefined) return found;
      if (this.#isClosed) throw new Error(`closed before a frame of type ${type} came`);
      await this.#change();
    }
  }

  /** Resolves when the connection is closed. */
  async closed(): Promise<void> {
    while (!this.#isClosed) await this.#change();
  }

  async #change(): Promise<void> {
    await once(this.#news, 'news', { signal: AbortSignal.timeout(PATIENCE_MS) });
  }
}
