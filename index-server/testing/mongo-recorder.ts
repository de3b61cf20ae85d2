import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { BSON } from 'mongodb';

/*
 * The wire protocol of MongoDB, as far as the driver needs it to send what it sends to a server, with answers that do not
 * depend on the question. https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
 */

const HEADER = 16;
const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;

const HELLO = {
  ...{ helloOk: true, isWritablePrimary: true, ismaster: true, ok: 1, minWireVersion: 0, maxWireVersion: 21 },
  ...{ maxBsonObjectSize: 2 ** 24, maxMessageSizeBytes: 48_000_000, maxWriteBatchSize: 100_000 },
  logicalSessionTimeoutMinutes: 30,
};

/** A command as it was sent, lists of updates and deletes included. */
export type SentCommand = Readonly<Record<string, unknown>>;

/** A server that remembers commands and finds, whatever is asked of a collection, the documents it was given. */
export class MongoRecorder {
  readonly commands: SentCommand[] = [];
  readonly #found: Readonly<Record<string, object>>;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  /** `found` has a document for each collection. */
  constructor(found: Readonly<Record<string, object>>) {
    this.#found = found;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** Resolves to its address. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `mongodb://127.0.0.1:${(this.#server.address() as AddressInfo).port}/recorded`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let unread = Buffer.alloc(0);
    // The driver breaks connections that it needs no longer.
    socket.on('error', () => undefined);
    socket.on('data', (piece: Buffer) => {
      unread = Buffer.concat([unread, piece]);
      while (unread.length >= HEADER && unread.length >= unread.readInt32LE(0)) {
        const length = unread.readInt32LE(0);
        socket.write(this.#answerTo(unread.subarray(0, length)));
        unread = unread.subarray(length);
      }
    });
  }

  #answerTo(message: Buffer): Buffer {
    const [id, kind] = [message.readInt32LE(4), message.readInt32LE(12)];
    if (kind === OP_QUERY) return reply(id, OP_REPLY, Buffer.alloc(20).fill(1, 16, 17), HELLO);
    if (kind !== OP_MSG) throw new Error(`message of kind ${kind}`);
    const command = commandIn(message.subarray(HEADER + 4));
    this.commands.push(command);
    return reply(id, OP_MSG, Buffer.alloc(5), { ok: 1, ...this.#resultOf(command) });
  }

  #resultOf(command: SentCommand): object {
    const [[verb, collection] = []] = Object.entries(command);
    const document = this.#found[String(collection)];
    switch (verb) {
      case 'hello':
        return HELLO;
      case 'find':
      case 'aggregate':
        return { cursor: { id: BSON.Long.ZERO, ns: `recorded.${collection}`, firstBatch: document ? [document] : [] } };
      case 'findAndModify':
        return { value: document };
      default:
        return { n: 1, nModified: 1 };
    }
  }
}

function reply(to: number, kind: number, start: Buffer, document: object): Buffer {
  const body = Buffer.concat([start, BSON.serialize(document)]);
  const header = Buffer.alloc(HEADER);
  header.writeInt32LE(HEADER + body.length, 0);
  header.writeInt32LE(to, 8);
  header.writeInt32LE(kind, 12);
  return Buffer.concat([header, body]);
}

/** Sections of a message: one with the command (kind 0), others with lists that belong into it (kind 1). */
function commandIn(sections: Buffer): SentCommand {
  let command: Record<string, unknown> = {};
  const lists: Record<string, unknown> = {};
  for (let at = 0; at < sections.length; ) {
    const [kind, length] = [sections[at], sections.readInt32LE(at + 1)];
    const section = sections.subarray(at + 1, at + 1 + length);
    if (kind === 0) command = BSON.deserialize(section);
    else Object.assign(lists, listIn(section));
    at += 1 + length;
  }
  return { ...command, ...lists };
}

function listIn(section: Buffer): Record<string, unknown> {
  const end = section.indexOf(0, 4);
  const documents: unknown[] = [];
  for (let at = end + 1; at < section.length; at += section.readInt32LE(at)) {
    documents.push(BSON.deserialize(section.subarray(at, at + section.readInt32LE(at))));
  }
  return { [section.subarray(4, end).toString()]: documents };
}
