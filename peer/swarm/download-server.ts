import type { ServerWritableStream } from '@grpc/grpc-js';
import { ShoalError } from '../../common/errors.js';
import type { DownloadManyRequest__Output } from '../../proto/gen/shoal/peer/v1/DownloadManyRequest.js';
import type { DownloadManyResponse } from '../../proto/gen/shoal/peer/v1/DownloadManyResponse.js';
import type { DownloadRequest__Output } from '../../proto/gen/shoal/peer/v1/DownloadRequest.js';
import type { DownloadResponse } from '../../proto/gen/shoal/peer/v1/DownloadResponse.js';
import { unlessAborted } from '../abort.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import type { Fetch } from './fetch.js';
import { authorizationOf, type FileAccess } from './file-access.js';
import { readThrough } from './read-through.js';
import { sendSmallFiles } from './send-small-files.js';
import type { TransferObserver } from './transfer-observer.js';

/** What downloads need. */
export interface DownloadServerDeps {
  readonly access: FileAccess;
  /** The fetch of a file that is under way, if any. */
  readonly activeFetch: (id: string) => Fetch | undefined;
  /** Begins or joins a fetch of what is missing of a file, with a caller's ticket. */
  readonly refetch: (id: string, ticket: string) => Fetch;
  readonly buffers: BufferPool;
  readonly observer: Pick<TransferObserver, 'sentBytes' | 'serving'>;
}

/** Sends files as plain streams, to programs of any kind. Whoever runs these ends the stream, and says what they threw. */
export class DownloadServer {
  readonly #deps: DownloadServerDeps;

  constructor(deps: DownloadServerDeps) {
    this.#deps = deps;
  }

  /** Sends a file or a range of it: the header, then the bytes as they come. */
  async download(
    call: ServerWritableStream<DownloadRequest__Output, DownloadResponse>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#serving(async () => {
      const { access, activeFetch, refetch, buffers, observer } = this.#deps;
      const { fileId, offset, length: wanted } = call.request;
      const caller = await access.caller(authorizationOf(call.metadata));
      const { file } = await access.readable(caller, fileId);
      const { size } = file.manifest;
      if (offset > size) throw new ShoalError('invalid', `offset ${offset} is beyond the file's ${size} bytes`);
      const length = wanted === 0 ? size - offset : Math.min(wanted, size - offset);
      call.write({ header: { fileId, size, offset, length, sha256: file.sha256 ?? '' } });
      const source = { fetch: activeFetch(fileId), refetch: () => refetch(fileId, caller.ticket), buffers };
      // One piece is read while the one before is sent: grpc-js alone would take sixteen, each copied into a message.
      let sent: Promise<void> = Promise.resolve();
      for await (const data of readThrough(source, file, { offset, length }, signal)) {
        await unlessAborted(sent, signal);
        observer.sentBytes('download', data.length);
        sent = new Promise((resolve) => {
          call.write({ data }, () => {
            buffers.give(data);
            resolve();
          });
        });
      }
    });
  }

  /** Sends many small files, each whole or with the reason why it is not sent. */
  async downloadMany(
    call: ServerWritableStream<DownloadManyRequest__Output, DownloadManyResponse>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#serving(async () => {
      const { access, observer } = this.#deps;
      const own = await access.caller(authorizationOf(call.metadata));
      await sendSmallFiles(
        call.request,
        {
          fileOf: async ({ fileId, ticket }) => {
            const caller = ticket === '' ? own : await access.caller(`Bearer ${ticket}`);
            return (await access.readable(caller, fileId)).file;
          },
          send: async (files) => {
            for (const { data } of files) observer.sentBytes('download', data?.length ?? 0);
            if (!call.write({ files })) await drained(call, signal);
          },
        },
        signal,
      );
    });
  }

  async #serving(send: () => Promise<void>): Promise<void> {
    const { observer } = this.#deps;
    observer.serving('download', 1);
    try {
      await send();
    } finally {
      observer.serving('download', -1);
    }
  }
}

async function drained(call: NodeJS.EventEmitter, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => {
      call.off('drain', onDrain);
      reject(new ShoalError('cancelled', 'cancelled by the caller'));
    };
    const onDrain = () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    call.once('drain', onDrain);
  });
}
