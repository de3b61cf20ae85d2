import { z } from 'zod';
import { fileIdSchema, LIMITS, timeSchema } from './values.js';

/*
 * The HTTP contract of the original's four routes.
 */

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
