import { z } from 'zod';
import { FILE_ID, NAME_BYTES, nameProblem, USERNAME } from '../../common/names.js';

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
export const plainTextSchema = z
  .string()
  .refine((text) => text.isWellFormed(), 'is not well-formed Unicode')
  .refine((text) => !/\p{Cc}/u.test(text), 'contains a control character');

/** How a caller names a file: an id, a name, or OWNER/NAME. */
export const refSchema = plainTextSchema.min(1).max(LIMITS.nameBytes + 70);

/** A file id. */
export const fileIdSchema = z.string().regex(FILE_ID, 'must be 64 lower-case hex digits').meta({ id: 'FileId' });

/** A file name; see {@link nameProblem}. */
export const fileNameSchema = z
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

export const passwordSchema = z
  .string()
  .min(LIMITS.passwordMin, `must have at least ${LIMITS.passwordMin} characters`)
  .max(LIMITS.passwordMax, `must have at most ${LIMITS.passwordMax} characters`);

export const tagKeySchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/, 'must be 1 to 63 letters, digits or ._/-');

export const tagValueSchema = z
  .string()
  .max(256)
  .regex(/^\P{Cc}*$/u, 'contains a control character');

/** Labels of a file. */
export const tagsSchema = z
  .record(tagKeySchema, tagValueSchema)
  .refine((tags) => Object.keys(tags).length <= LIMITS.tags, `has more than ${LIMITS.tags} tags`);

export const visibilitySchema = z.enum(['public', 'private']);

export const timeSchema = z.iso.datetime();

export const byteCountSchema = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

export const replicasSchema = z.number().int().min(1).max(LIMITS.replicas);

export const readersSchema = z.array(usernameSchema).max(LIMITS.readers);
