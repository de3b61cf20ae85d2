import { z } from 'zod';
import { locatedSchema, publishedSchema } from './files.js';
import { byteCountSchema, fileIdSchema, timeSchema, visibilitySchema } from './values.js';

/*
 * What the index says when it refuses, and what it signs.
 */

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
