import type { Socket } from 'node:net';
import {
  FIRST_FRAME_BYTES,
  FIRST_WINDOW_BYTES,
  FrameFlag,
  FrameType,
  frameHeader,
  Http2Code,
  MAX_WINDOW_BYTES,
  ProtocolError,
} from './frames.js';
import { headerFrames, type StreamHeaders } from './header-blocks.js';
import type { Http2Stream } from './http2-stream.js';

/*
 * What a connection sends: control frames at once, what streams have to say as far as the windows and the socket let it.
 * Streams that had to wait take turns.
 */

/** With so much in the socket, streams keep what they have: a cancelled one then takes it back, and all get their turn. */
const MAX_IN_SOCKET_BYTES = 1024 * 1024;
/** Answers that the other side has not read. It asks on and reads nothing; nobody does that by accident. */
const MAX_UNREAD_ANSWERS = 10_000;
/** What may wait on one stream for somebody who does not read: more than the largest manifest. */
const MAX_UNREAD_BYTES = 128 * 1024 * 1024;

/** See the head of this file. Nothing here calls back before it has returned, but for `onSent` after the end. */
export class FrameSender {
  readonly #socket: Socket;
  readonly #waiting = new Set<Http2Stream>();
  #window = FIRST_WINDOW_BYTES;
  #maxFrameBytes = FIRST_FRAME_BYTES;
  #unreadAnswers = 0;
  #isStopped = false;

  /** `onProgress` is called when the other side has taken some of what it was slow to take. */
  constructor(socket: Socket, onProgress: () => void) {
    this.#socket = socket;
    socket.on('drain', () => {
      onProgress();
      this.flushAll();
    });
  }

  /** Largest frame that the other side takes. */
  set maxFrameBytes(bytes: number) {
    this.#maxFrameBytes = bytes;
  }

  /** Sends frames. `onSent` is called when the kernel has them, or when it never will; once. */
  write(frames: Buffer, onSent?: () => void): void {
    if (this.#isStopped) onSent?.();
    else if (onSent === undefined) this.#socket.write(frames);
    else this.#socket.write(frames, () => onSent());
  }

  /** Sends a frame that the other side has caused. */
  answer(frame: Buffer): void {
    this.#unreadAnswers += 1;
    if (this.#unreadAnswers > MAX_UNREAD_ANSWERS) this.#giveUp();
    this.write(frame, () => {
      this.#unreadAnswers -= 1;
    });
  }

  /** Sends headers at once: those that open a stream, whose order is that of the streams. */
  writeHeaders(headers: StreamHeaders): void {
    this.write(headerFrames(headers, { maxFrameBytes: this.#maxFrameBytes }));
  }

  /** Widens the connection's window. */
  widen(bytes: number): void {
    this.#window += bytes;
    if (this.#window > MAX_WINDOW_BYTES) {
      throw new ProtocolError('too wide a window', Http2Code.flowControlError);
    }
    this.flushAll();
  }

  /** Sends what can be sent of a stream; the rest follows by itself. */
  flush(stream: Http2Stream): void {
    // Who has to wait again does so at the end.
    this.#waiting.delete(stream);
    this.#socket.cork();
    while (this.#hasRoom) {
      const piece = stream.take(Math.min(this.#window, this.#maxFrameBytes));
      if (piece === undefined) break;
      if (piece.kind === 'data') this.#writeData(stream.id, piece.bytes, piece.onSent);
      else if (piece.kind === 'end') {
        this.write(frameHeader({ length: 0, type: FrameType.data, flags: FrameFlag.endStream, streamId: stream.id }));
      } else {
        this.writeHeaders({ streamId: stream.id, ...piece });
        if (piece.isEnd) stream.sentEnd();
      }
    }
    this.#socket.uncork();
    if (stream.isWaiting) this.#waiting.add(stream);
    if (stream.queuedBytes > MAX_UNREAD_BYTES) this.#giveUp();
  }

  /** Sends what can be sent of those that wait. */
  flushAll(): void {
    for (const stream of [...this.#waiting]) {
      if (!this.#hasRoom) return;
      this.flush(stream);
    }
  }

  /** Nobody has to wait for this stream any more. */
  forget(stream: Http2Stream): void {
    this.#waiting.delete(stream);
  }

  /** Sends nothing more. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting.clear();
  }

  get #hasRoom(): boolean {
    return !this.#isStopped && this.#socket.writableLength < MAX_IN_SOCKET_BYTES;
  }

  #writeData(streamId: number, bytes: Buffer, onSent: (() => void) | undefined): void {
    this.#window -= bytes.length;
    const header = frameHeader({ length: bytes.length, type: FrameType.data, flags: 0, streamId });
    if (bytes.length === 0) this.write(header, onSent);
    else {
      this.write(header);
      this.write(bytes, onSent);
    }
  }

  /** The owner hears of it by the socket, later: not in the middle of what it is doing. */
  #giveUp(): void {
    this.#socket.destroy(new Error('the other side does not read'));
  }
}
