import { createHash } from 'node:crypto';
import { z } from 'zod';
import { holderSchema } from './files.js';
import {
  addressSchema,
  byteCountSchema,
  fileIdSchema,
  LIMITS,
  peerNameSchema,
  plainTextSchema,
  timeSchema,
} from './values.js';

/*
 * The HTTP contract of peers: how they come, stay and go, what they hold and what they are told to do.
 */

/** A public key of the index (RFC 8037 OKP, Ed25519). */
const publicKeySchema = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string() });

/** A public key of the index. */
export type PublicKey = z.infer<typeof publicKeySchema>;

/** Answer to `GET /api/v1/keys`. */
export const keysSchema = z.object({ keys: z.array(publicKeySchema) }).meta({ id: 'Keys' });

/** A peer as listings show it. `gone` peers are those whose lease ran out or who withdrew, kept for an hour. */
export const peerSchema = z
  .object({
    name: z.string(),
    address: z.string(),
    state: z.enum(['live', 'draining', 'gone']),
    files: z.number().int(),
    bytesUsed: byteCountSchema,
    bytesFree: byteCountSchema,
    version: z.string(),
  })
  .meta({ id: 'Peer' });

/** A peer as listings show it. */
export type Peer = z.infer<typeof peerSchema>;

/** Answer to `GET /api/v1/peers`. */
export const peersSchema = z.object({ peers: z.array(peerSchema) }).meta({ id: 'Peers' });

const peerLoadSchema = z.object({
  files: z.number().int().min(0),
  bytesUsed: byteCountSchema,
  bytesFree: byteCountSchema,
});

/** Body of `POST /api/v1/peers`: a peer joins, with `Authorization: Join SECRET` where a join secret is set. */
export const joinBodySchema = peerLoadSchema.extend({
  name: peerNameSchema,
  address: addressSchema,
  version: z.string().max(64),
  /** Random for each start of the process: tells a restart from a second process of the same name. */
  incarnation: z.string().min(8).max(64),
});

/** Body of `POST /api/v1/peers`. */
export type JoinBody = z.infer<typeof joinBodySchema>;

/** What a peer needs to belong. */
const membershipSchema = z.object({
  /** For the index, in `Authorization: Bearer`. */
  peerToken: z.string(),
  /** For other peers: good for files that are public and for speaking about oneself. */
  swarmToken: z.string(),
  /** When to have heartbeat bring new ones. */
  tokensExpireAt: timeSchema,
  keys: z.array(publicKeySchema),
  /** How often to send a heartbeat, in milliseconds. */
  heartbeatMs: z.number().int(),
  /** How long the index keeps the peer without one, in milliseconds. */
  leaseMs: z.number().int(),
});

/** Answer to `POST /api/v1/peers`. */
export const joinedSchema = membershipSchema
  .extend({
    /** Known by this, the index remembers what it was told; another one has lost its store: give it the tombstones. */
    storeId: z.string().optional(),
  })
  .meta({ id: 'Joined' });

/** Answer to `POST /api/v1/peers`. */
export type Joined = z.infer<typeof joinedSchema>;

/** Body of `POST /api/v1/peers/{name}/heartbeat`. */
export const heartbeatBodySchema = peerLoadSchema.extend({
  incarnation: z.string().min(8).max(64),
  state: z.enum(['live', 'draining']),
  /** Ask for new tokens. */
  renew: z.boolean().default(false),
});

/** Body of a heartbeat. */
export type HeartbeatBody = z.input<typeof heartbeatBodySchema>;

/** What a peer should do. Repeated in each heartbeat answer until the peer's holdings show that it is done. */
const orderSchema = z.discriminatedUnion('do', [
  /** Fetch the file and keep it. */
  z.object({
    do: z.literal('replicate'),
    id: fileIdSchema,
    /** Every signed record of the file; the peer keeps them beside it. */
    records: z.array(z.string()),
    ticket: z.string(),
    holders: z.array(holderSchema),
  }),
  /**
   * No record of the file is left: keep the tombstones, which prove it, and delete the file. An index that has lost its store
   * is given them back, as records are.
   */
  z.object({ do: z.literal('drop'), id: fileIdSchema, tombstones: z.array(z.string()).optional() }),
  /**
   * Records of the file changed (tags, readers, names): keep these in place of those kept until now, and announce the
   * file again with their revision.
   */
  z.object({ do: z.literal('update'), id: fileIdSchema, records: z.array(z.string()) }),
]);

/** What a peer should do. */
export type Order = z.infer<typeof orderSchema>;

/** Answer to a heartbeat. 404 means that the index does not know the peer: join again. */
export const heartbeatAnswerSchema = z
  .object({
    heartbeatMs: z.number().int(),
    leaseMs: z.number().int(),
    /** New tokens, when they were asked for. */
    membership: membershipSchema.optional(),
    /** The index does not know what this peer holds: announce everything. */
    announceAll: z.boolean(),
    orders: z.array(orderSchema),
    /** A bounded sample of the live peers, the caller left out: whom to ask when the index is away. */
    peers: z.array(z.object({ name: z.string(), address: z.string() })),
    /** How many peers are live in all. */
    livePeers: z.number().int(),
  })
  .meta({ id: 'HeartbeatAnswer' });

/** Answer to a heartbeat. */
export type HeartbeatAnswer = z.infer<typeof heartbeatAnswerSchema>;

/** A short digest of the records that are kept beside a file, whatever their order. */
export function recordsRevision(records: readonly string[]): string {
  return createHash('sha256')
    .update([...records].sort().join('\n'))
    .digest('hex')
    .slice(0, 32);
}

/** Body of `POST /api/v1/peers/{name}/holdings`. */
export const announceBodySchema = z.object({
  incarnation: z.string().min(8).max(64),
  /**
   * Files held now, whole or in part. `revision` is {@link recordsRevision} of the records kept beside a file: an
   * `update` order is repeated until it agrees with the index's, and one comes when it does not.
   */
  held: z
    .array(z.object({ id: fileIdSchema, complete: z.boolean(), revision: z.string().max(64).optional() }))
    .max(LIMITS.announce),
  /** Files no longer held. */
  dropped: z.array(fileIdSchema).max(LIMITS.announce).default([]),
  /** Begins or ends a complete announcement (which may take several requests): what was not named in it is forgotten. */
  full: z.enum(['begin', 'end', 'only']).optional(),
  /** With `end`: the mark that the answer to `begin` carried. */
  mark: plainTextSchema.max(128).optional(),
});

/** Body of an announcement. */
export type AnnounceBody = z.input<typeof announceBodySchema>;

/** Answer to an announcement: files of which the index has no record (send yours), and files that were removed. */
export const announcedSchema = z
  .object({
    unknown: z.array(fileIdSchema),
    removed: z.array(fileIdSchema),
    /** Of what was removed: to be kept, as those of an order to drop a file. */
    tombstones: z.array(z.string()).optional(),
    /** Answer to `begin`: to be sent with `end`. */
    mark: z.string().optional(),
  })
  .meta({ id: 'Announced' });

/** Answer to an announcement. */
export type Announced = z.infer<typeof announcedSchema>;

/** Body of `POST /api/v1/peers/{name}/records`: records and tombstones that the index signed and then forgot. */
export const restoreBodySchema = z.object({ records: z.array(z.string().max(65536)).max(LIMITS.announce) });

/** Answer to a restore: how many were taken back, and which were not (bad signature, or removed since). */
export const restoredSchema = z
  .object({ restored: z.number().int(), refused: z.number().int() })
  .meta({ id: 'Restored' });

/** Answer to a restore. */
export type Restored = z.infer<typeof restoredSchema>;

/** Body of `POST /api/v1/peers/{name}/hand-over`: files that a draining peer has all of, and asks about. */
export const handOverBodySchema = z.object({
  incarnation: z.string().min(8).max(64),
  ids: z.array(fileIdSchema).min(1).max(LIMITS.handOver),
});

/** Body of a hand-over. */
export type HandOverBody = z.infer<typeof handOverBodySchema>;

/**
 * Answer to a hand-over: the files among those asked about of which no peer that stays has all. `copying`: somebody is asked
 * to; `no_peer`, `no_space`: nobody can be, because no other peer is live or none has room; `unknown`: the index has no
 * record of the file, announce it. Ask again until nothing is left.
 */
export const handedOverSchema = z
  .object({
    rest: z.array(z.object({ id: fileIdSchema, state: z.enum(['copying', 'no_peer', 'no_space', 'unknown']) })),
  })
  .meta({ id: 'HandedOver' });

/** Answer to a hand-over. */
export type HandedOver = z.infer<typeof handedOverSchema>;

/** Query of `DELETE /api/v1/peers/{name}`. */
export const withdrawQuerySchema = z.object({
  /** Files of which a peer that does not come back has the only copy. */
  leftBehind: z.coerce.number().int().min(0).optional(),
});

/** Query of a withdrawal. */
export type WithdrawQuery = z.infer<typeof withdrawQuerySchema>;

/**
 * Answer to `GET /api/v1/peers/{name}/place`: whether a peer whose pod ends comes back. `kept`: the StatefulSet starts a pod
 * of its name again; `given_up`: it was scaled down; `unknown`: nothing is known of pods here.
 */
export const placeSchema = z.object({ place: z.enum(['kept', 'given_up', 'unknown']) }).meta({ id: 'Place' });

/** Whether a peer comes back. */
export type Place = z.infer<typeof placeSchema>['place'];

/** Body of `POST /api/v1/reports`: a peer sent bytes that do not match their digest. */
export const reportBodySchema = z.object({ id: fileIdSchema, peer: peerNameSchema, reason: z.literal('corrupt') });

/** Body of a report. */
export type ReportBody = z.infer<typeof reportBodySchema>;
