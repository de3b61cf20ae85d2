import { createHash } from 'node:crypto';
import { z } from 'zod';
import { FILE_ID, isFileId, NAME_BYTES, nameProblem, USERNAME } from '../common/names.js';

export { isFileId, nameProblem };

/*
 * The HTTP contract of the index, version 1: every path, what goes in, what comes out. The server validates with these
 * schemas, the client is typed by them, and /openapi.json is made from them; nothing else describes a route.
 *
 * Who calls is told by `Authorization: Bearer TOKEN`, where TOKEN is a session (people) or a peer token (peers). A peer
 * that acts for a user adds `Shoal-On-Behalf: SESSION-OR-PUBLISH-TICKET`; without it the peer acts as the account
 * `shoal`.
 */

/** Header in which a peer names the user it acts for: a session token, or a publish ticket. */
export const ON_BEHALF_HEADER = 'shoal-on-behalf';

/** The account under which peers act when nobody is logged in. Ordinary rights, cannot be registered or logged in to. */
export const PEER_ACCOUNT = 'shoal';

/** Limits of the contract, in one place. */
export const LIMITS = {
  /** Bytes of UTF-8 in a file name. */
  nameBytes: NAME_BYTES,
  /** Files on a page when the caller does not say. */
  pageDefault: 100,
  /** Files on a page at the most. */
  pageMax: 1000,
  /** Tags of a file. */
  tags: 32,
  /** Users that a private file may be shared with. */
  readers: 100,
  /** Versions of a name that an index may be set to keep. */
  versions: 1000,
  /** Copies that may be asked for. */
  replicas: 100,
  /** Holdings in one announcement. */
  announce: 1000,
  /** Files in one question of a peer that leaves. */
  handOver: 256,
  /** Records that holders keep beside a file; of more names for the same content, the index alone knows the others. */
  records: 100,
  /** Holders in one answer. */
  holders: 64,
  /** References in one question. */
  locates: 64,
  /** Files published in one call. */
  publishes: 64,
  /** Characters of a password. */
  passwordMin: 8,
  passwordMax: 256,
  /** Bytes of a request body. */
  bodyBytes: 4 * 1024 * 1024,
} as const;

/** Text that a store and a log can carry: well-formed Unicode without control characters. */
const plainTextSchema = z
  .string()
  .refine((text) => text.isWellFormed(), 'is not well-formed Unicode')
  .refine((text) => !/\p{Cc}/u.test(text), 'contains a control character');

/** How a caller names a file: an id, a name, or OWNER/NAME. */
export const refSchema = plainTextSchema.min(1).max(LIMITS.nameBytes + 70);

/** A file id. */
const fileIdSchema = z.string().regex(FILE_ID, 'must be 64 lower-case hex digits').meta({ id: 'FileId' });

/** A file name; see {@link nameProblem}. */
const fileNameSchema = z
  .string()
  .check((ctx) => {
    const problem = nameProblem(ctx.value);
    if (problem !== undefined) ctx.issues.push({ code: 'custom', message: problem, input: ctx.value });
  })
  .meta({ id: 'FileName', description: 'Path-like name, 1 to 1,024 bytes of UTF-8' });

/** A user name. */
export const usernameSchema = z
  .string()
  .regex(USERNAME, 'must be 1 to 64 letters, digits or ._@- and begin with a letter or digit');

/** A peer name: a DNS label, as pods have. */
export const peerNameSchema = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'must be a DNS name in lower case');

/** Where a peer can be dialled: host:port. */
export const addressSchema = z
  .string()
  .max(300)
  .regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):([1-9][0-9]{0,4})$/, 'must be host:port')
  .refine((address) => Number(address.slice(address.lastIndexOf(':') + 1)) <= 65535, 'has a port above 65535');

const passwordSchema = z
  .string()
  .min(LIMITS.passwordMin, `must have at least ${LIMITS.passwordMin} characters`)
  .max(LIMITS.passwordMax, `must have at most ${LIMITS.passwordMax} characters`);

const tagKeySchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/, 'must be 1 to 63 letters, digits or ._/-');
const tagValueSchema = z
  .string()
  .max(256)
  .regex(/^\P{Cc}*$/u, 'contains a control character');

/** Labels of a file. */
export const tagsSchema = z
  .record(tagKeySchema, tagValueSchema)
  .refine((tags) => Object.keys(tags).length <= LIMITS.tags, `has more than ${LIMITS.tags} tags`);

const visibilitySchema = z.enum(['public', 'private']);
const timeSchema = z.iso.datetime();
const byteCountSchema = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const replicasSchema = z.number().int().min(1).max(LIMITS.replicas);
const readersSchema = z.array(usernameSchema).max(LIMITS.readers);

// --- Files ----------------------------------------------------------------------------------------------------------

/** A file as listings show it. */
export const fileSummarySchema = z
  .object({
    id: fileIdSchema,
    name: z.string(),
    owner: z.string(),
    size: byteCountSchema,
    tags: z.record(z.string(), z.string()),
    visibility: visibilitySchema,
    publishedAt: timeSchema,
  })
  .meta({ id: 'FileSummary' });
/** A file as listings show it. */
export type FileSummary = z.infer<typeof fileSummarySchema>;

/** A page of files. `nextPage` is opaque, and stays good while files come and go. */
export const filePageSchema = z
  .object({ files: z.array(fileSummarySchema), nextPage: z.string().nullable() })
  .meta({ id: 'FilePage' });
/** A page of files. */
export type FilePage = z.infer<typeof filePageSchema>;

/** A peer that holds a file or part of it. */
export const holderSchema = z
  .object({ peer: z.string(), address: z.string(), complete: z.boolean() })
  .meta({ id: 'Holder' });
/** A peer that holds a file or part of it. */
export type Holder = z.infer<typeof holderSchema>;

/** A file with all that is known of it. `readers` are the users a private file is shared with. */
export const fileDetailSchema = fileSummarySchema
  .extend({
    sha256: z.string(),
    chunkSize: z.number().int(),
    chunks: z.number().int(),
    replicas: z.number().int(),
    version: z.number().int(),
    readers: z.array(z.string()),
    holders: z.array(holderSchema),
  })
  .meta({ id: 'FileDetail' });
/** A file with all that is known of it. */
export type FileDetail = z.infer<typeof fileDetailSchema>;

const tagFilterSchema = plainTextSchema.max(320).regex(/^[^=]+=/, 'is not KEY=VALUE');

/** Query of `GET /api/v1/files`: by name, in byte order of (name, owner). */
export const listQuerySchema = z.object({
  prefix: plainTextSchema.max(LIMITS.nameBytes).optional(),
  /** KEY=VALUE; may be given several times, all must match. */
  tag: z.union([tagFilterSchema, z.array(tagFilterSchema).max(LIMITS.tags)]).optional(),
  owner: usernameSchema.optional(),
  limit: z.coerce.number().int().min(1).max(LIMITS.pageMax).optional(),
  page: plainTextSchema.max(4096).optional(),
});
/** Query of `GET /api/v1/files`. */
export type ListQuery = z.infer<typeof listQuerySchema>;

/** Query of `GET /api/v1/search`: files whose name has, for each word of `text`, a word beginning with it; newest first. */
export const searchQuerySchema = z.object({
  text: plainTextSchema.min(1).max(256),
  limit: z.coerce.number().int().min(1).max(LIMITS.pageMax).optional(),
  page: plainTextSchema.max(4096).optional(),
});
/** Query of `GET /api/v1/search`. */
export type SearchQuery = z.infer<typeof searchQuerySchema>;

/** Ids of files, or `*` for any. */
const idsOrAnySchema = z.array(z.union([z.literal('*'), fileIdSchema])).max(100);

/**
 * Body of `POST /api/v1/files`: only a peer that holds the whole file may send it. `ifMatch` and `ifNoneMatch` are about the
 * current version of the name, as the headers of HTTP are (RFC 9110, section 13.1); what fails them is a `conflict`, and of
 * two that compete for a name one fails.
 */
export const publishBodySchema = z.object({
  id: fileIdSchema,
  name: fileNameSchema,
  size: byteCountSchema,
  sha256: z.string().regex(FILE_ID, 'must be 64 lower-case hex digits'),
  chunkSize: z.number().int().min(1),
  chunks: z.number().int().min(0),
  tags: tagsSchema.default({}),
  visibility: visibilitySchema.default('public'),
  readers: readersSchema.default([]),
  replicas: replicasSchema.default(1),
  ifMatch: idsOrAnySchema.optional(),
  ifNoneMatch: idsOrAnySchema.optional(),
});
/** Body of `POST /api/v1/files`. */
export type PublishBody = z.input<typeof publishBodySchema>;

/** Peers that were chosen to keep a copy, and what they need to fetch it. */
const replicaTargetSchema = z.object({ peer: z.string(), address: z.string() });

/** Answer to a publish. `record` is signed by the index; the peer keeps it beside the file. */
export const publishedSchema = z
  .object({ file: fileDetailSchema, record: z.string(), targets: z.array(replicaTargetSchema) })
  .meta({ id: 'Published' });
/** Answer to a publish. */
export type Published = z.infer<typeof publishedSchema>;

/** Body of `POST /api/v1/publish/many`. One that has not the form of a publish fails all; what else is wrong, each is told. */
export const publishManyBodySchema = z.object({ files: z.array(publishBodySchema).min(1).max(LIMITS.publishes) });

/** Body of `PATCH /api/v1/files/{ref}`. Tags set to null are taken away. */
export const patchBodySchema = z
  .object({
    tags: z.record(tagKeySchema, tagValueSchema.nullable()).optional(),
    visibility: visibilitySchema.optional(),
    addReaders: readersSchema.optional(),
    removeReaders: readersSchema.optional(),
    replicas: replicasSchema.optional(),
  })
  .strict();
/** Body of `PATCH /api/v1/files/{ref}`. */
export type PatchBody = z.infer<typeof patchBodySchema>;

/** Answer to `DELETE /api/v1/files/{ref}`. */
export const removedSchema = z.object({ removed: z.number().int() }).meta({ id: 'Removed' });

/** Body of `POST /api/v1/locate`. */
export const locateBodySchema = z.object({
  ref: refSchema,
  limit: z.number().int().min(1).max(LIMITS.holders).optional(),
});
/** Answer to `POST /api/v1/locate`: the file, a bounded sample of its live holders (complete ones are never left out in
 * favour of partial ones, the caller's own peer is), the signed record, and a ticket to show them. Where no live peer holds
 * all of it, `away` names some that do and were live a short while ago: they may come back. */
export const locatedSchema = z
  .object({
    file: fileDetailSchema,
    record: z.string(),
    ticket: z.string(),
    ticketExpiresAt: timeSchema,
    away: z.array(z.string()).optional(),
  })
  .meta({ id: 'Located' });
/** Answer to `POST /api/v1/locate`. */
export type Located = z.infer<typeof locatedSchema>;

/** Body of `POST /api/v1/locate/many`. */
export const locateManyBodySchema = z.object({ refs: z.array(refSchema).min(1).max(LIMITS.locates) });

/** Answer to `POST /api/v1/tickets`: a ticket with which any gRPC client may call `Upload` on a peer. */
export const publishTicketSchema = z
  .object({ ticket: z.string(), expiresAt: timeSchema })
  .meta({ id: 'PublishTicket' });
/** Answer to `POST /api/v1/tickets`. */
export type PublishTicket = z.infer<typeof publishTicketSchema>;

// --- Accounts -------------------------------------------------------------------------------------------------------

/** Body of `POST /api/v1/accounts`. */
export const registerBodySchema = z.object({ username: usernameSchema, password: passwordSchema });
/** Body of `POST /api/v1/sessions`. A wrong password is `unauthenticated` whatever its form. */
export const loginBodySchema = z.object({ username: z.string().max(256), password: z.string().max(1024) });
/** Body of `PUT /api/v1/account/password`. */
export const passwordBodySchema = z.object({ currentPassword: z.string().max(1024), newPassword: passwordSchema });
/** A new session. */
export const sessionSchema = z
  .object({ username: z.string(), token: z.string(), expiresAt: timeSchema })
  .meta({ id: 'Session' });
/** A new session. */
export type Session = z.infer<typeof sessionSchema>;
/** Answer to `GET /api/v1/account`. `expiresAt` is null for a peer acting as its own account. */
export const accountSchema = z
  .object({ userId: z.string(), username: z.string(), peerAccount: z.boolean(), expiresAt: timeSchema.nullable() })
  .meta({ id: 'Account' });
/** Answer to `GET /api/v1/account`. */
export type Account = z.infer<typeof accountSchema>;

// --- Peers ----------------------------------------------------------------------------------------------------------

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

// --- The four routes of the original --------------------------------------------------------------------------------

/**
 * Body of `POST /login`. An unknown user is created when `url`, the advertised address of a live peer, is given; for a
 * known one it moves the user's seat there.
 */
export const seedLoginBodySchema = z.object({
  username: z.string().max(256),
  password: z.string().max(1024),
  url: z.string().max(300).optional(),
});
/** Body of `POST /logout`. */
export const seedLogoutBodySchema = z.object({ username: z.string().max(256) });
/**
 * Body of `POST /index`: files that were published already. A peer that knows that a file was there before, unchanged,
 * says so with `isNew: false`; it is then not named as newly added.
 */
export const seedIndexBodySchema = z.object({
  username: z.string().max(256),
  files: z
    .array(
      z.union([
        z.string().max(LIMITS.nameBytes),
        z.object({
          name: z.string().max(LIMITS.nameBytes),
          id: fileIdSchema.optional(),
          isNew: z.boolean().default(true),
        }),
      ]),
    )
    .max(LIMITS.pageMax),
});
/** Body of `POST /search`: whole names. */
export const seedSearchBodySchema = z.object({ files: z.array(z.string().max(LIMITS.nameBytes)).max(LIMITS.pageMax) });

/** Answer to `/login` and `/logout`. `token` is the session that `/login` began. */
export const seedResultSchema = z
  .object({ message: z.string(), result: z.boolean(), token: z.string().optional(), expiresAt: timeSchema.optional() })
  .meta({ id: 'SeedResult' });
/** Answer to `/index`. */
export const seedIndexedSchema = z
  .object({ message: z.string(), files: z.array(z.string()), operation: z.array(z.string()) })
  .meta({ id: 'SeedIndexed' });
/** Answer to `/search`: the owner's name and the address of a live peer that holds the whole file. */
export const seedFoundSchema = z
  .object({
    message: z.string(),
    files: z.array(z.object({ filename: z.string(), peer: z.string(), url: z.string() })),
  })
  .meta({ id: 'SeedFound' });

// --- Problems and signed statements ---------------------------------------------------------------------------------

/** RFC 9457 problem details, with Shoal's own `code` and `hint`. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string(),
    hint: z.string().optional(),
    /** Which part of the input was at fault. */
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    /** The files that an ambiguous reference may mean, as OWNER/NAME. */
    candidates: z.array(z.string()).optional(),
  })
  .meta({ id: 'Problem' });
/** RFC 9457 problem details. */
export type Problem = z.infer<typeof problemSchema>;

/**
 * Answer to `POST /api/v1/locate/many`: in the order of the references, for each what `POST /api/v1/locate` would have
 * answered, a problem in place of those that mean nothing to the caller, or several files.
 */
export const locatedManySchema = z
  .object({ answers: z.array(z.union([locatedSchema, z.object({ problem: problemSchema })])) })
  .meta({ id: 'LocatedMany' });
/** Answer to `POST /api/v1/locate/many`. */
export type LocatedMany = z.infer<typeof locatedManySchema>;

/**
 * Answer to `POST /api/v1/publish/many`: in the order of the files, for each what `POST /api/v1/files` would have answered, a
 * problem in place of those that were not published for a reason of their own. What is wrong with the call, or the store, is
 * the answer to all of it, of which some may be published then: it may be made again.
 */
export const publishedManySchema = z
  .object({ answers: z.array(z.union([publishedSchema, z.object({ problem: problemSchema })])) })
  .meta({ id: 'PublishedMany' });
/** Answer to `POST /api/v1/publish/many`. */
export type PublishedMany = z.infer<typeof publishedManySchema>;

/** What the signed record (a compact JWS, EdDSA) says. Claims that peers act on are checked by whoever takes them. */
export const recordClaimsSchema = z.object({
  /** Tells a record from a tombstone. */
  kind: z.enum(['record', 'tombstone']),
  id: fileIdSchema,
  ownerId: z.string(),
  owner: z.string(),
  name: z.string(),
  version: z.number().int(),
  size: byteCountSchema,
  sha256: z.string(),
  chunkSize: z.number().int(),
  chunks: z.number().int(),
  tags: z.record(z.string(), z.string()),
  visibility: visibilitySchema,
  /** Of a tombstone: the versions below this one are not meant. */
  only: z.boolean().optional(),
  /** User ids (not names) that may read it besides the owner. */
  readers: z.array(z.string()),
  replicas: z.number().int(),
  publishedAt: timeSchema,
  /** Of two records of one version, the one with the higher is the newer; 0 where it is left out. */
  revision: z.number().int().optional(),
});
/** What a signed record says. */
export type RecordClaims = z.infer<typeof recordClaimsSchema>;

/** What a ticket (a compact JWS, EdDSA, `aud` "shoal-peer") says. */
export const ticketClaimsSchema = z.object({
  /** User id; `peer:NAME` for a swarm token. */
  sub: z.string(),
  /** User name, or peer name for a swarm token. */
  name: z.string(),
  act: z.enum(['read', 'publish', 'peer']),
  /** The file that a read ticket is for. */
  file: fileIdSchema.optional(),
  /** Seconds since 1970. */
  exp: z.number(),
});
/** What a ticket says. */
export type TicketClaims = z.infer<typeof ticketClaimsSchema>;
