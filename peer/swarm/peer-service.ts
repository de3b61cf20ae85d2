import type { ServiceDefinition } from '@grpc/grpc-js';
import type { ExchangeResponse, ExchangeResponse__Output } from '../../proto/gen/shoal/peer/v1/ExchangeResponse.js';
import type { PeerServiceDefinition } from '../../proto/gen/shoal/peer/v1/PeerService.js';
import { loadProto, PEER_PROTO } from '../proto.js';
import { type ChunkPart, readChunkPart } from './chunk-codec.js';

/** Full name of the service, as the health service knows it. */
export const PEER_SERVICE = 'shoal.peer.v1.PeerService';

/** What a server writes in an Exchange: a message, or one that is serialised already. */
export type ExchangeAnswer = ExchangeResponse | Buffer;

/** What a client reads in an Exchange: a part of a chunk, a view of the message it came in, or any other message. */
export type ExchangeNews = { readonly part: ChunkPart } | { readonly message: ExchangeResponse__Output };

/** The service of the loaded proto, with the quick codec for chunks in Exchange. */
export function loadPeerService(): { readonly service: PeerServiceDefinition & ServiceDefinition } {
  const service = loadProto(PEER_PROTO)[PEER_SERVICE] as unknown as PeerServiceDefinition & ServiceDefinition;
  const slow = service.Exchange;
  const exchange = {
    ...slow,
    responseSerialize: (answer: ExchangeAnswer) => (Buffer.isBuffer(answer) ? answer : slow.responseSerialize(answer)),
    responseDeserialize: (bytes: Buffer): ExchangeNews => {
      const part = readChunkPart(bytes);
      return part === undefined ? { message: slow.responseDeserialize(bytes) } : { part };
    },
  };
  return { service: { ...service, Exchange: exchange } as never };
}
