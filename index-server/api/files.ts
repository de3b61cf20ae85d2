import { z } from 'zod';
import { FILE_ID } from '../../common/names.js';
import {
  byteCountSchema,
  fileIdSchema,
  fileNameSchema,
  LIMITS,
  plainTextSchema,
  readersSchema,
  refSchema,
  replicasSchema,
  tagKeySchema,
  tagsSchema,
  tagValueSchema,
  timeSchema,
  usernameSchema,
  visibilitySchema,
} from './values.js';

/*
 * The HTTP contract of files: the catalogue, and the way to the bytes.
 */

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
