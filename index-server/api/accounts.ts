import { z } from 'zod';
import { passwordSchema, timeSchema, usernameSchema } from './values.js';

/*
 * The HTTP contract of accounts and sessions.
 */

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
