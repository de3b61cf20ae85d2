import {
  seedFoundSchema,
  seedIndexBodySchema,
  seedIndexedSchema,
  seedLoginBodySchema,
  seedLogoutBodySchema,
  seedResultSchema,
  seedSearchBodySchema,
} from '../api/original.js';
import { type AnyRoute, route } from '../routing.js';
import type { SeedFlows } from '../seed.js';

/** Paths whose failures carry `message` and `result` besides the members of a problem. */
export const SEED_PATHS: readonly string[] = ['/login', '/logout', '/index', '/search'];

/** What these routes call. */
export interface SeedRouteDeps {
  readonly seed: SeedFlows;
}

/** The routes that the original's users know. */
export function seedRoutes({ seed }: SeedRouteDeps): readonly AnyRoute[] {
  return [
    route({
      method: 'post',
      path: '/login',
      section: 'original',
      summary: 'Logs in; registers a new user who gives the url of a peer',
      access: 'anyone',
      body: seedLoginBodySchema,
      answer: seedResultSchema,
      errors: ['unauthenticated', 'conflict', 'throttled'],
      handle: async ({ body, address }) => {
        const { user, session, isNew } = await seed.login({ ...body, address });
        const message = isNew ? `registered and logged in as ${user.name}` : `logged in as ${user.name}`;
        return { message, result: true, token: session.token, expiresAt: session.expiresAt };
      },
    }),
    route({
      method: 'post',
      path: '/logout',
      section: 'original',
      summary: 'Ends the session; the files of the user are no longer offered',
      access: 'caller',
      body: seedLogoutBodySchema,
      answer: seedResultSchema,
      errors: ['not_found'],
      handle: async ({ caller, body }) => {
        await seed.logout(caller, body.username);
        return { message: `${body.username} is logged out`, result: true };
      },
    }),
    route({
      method: 'post',
      path: '/index',
      section: 'original',
      summary: "Offers files, published already, at the user's peer",
      access: 'caller',
      body: seedIndexBodySchema,
      answer: seedIndexedSchema,
      errors: ['not_found'],
      handle: async ({ caller, body }) => {
        const entries = body.files.map((file) => (typeof file === 'string' ? { name: file, isNew: true } : file));
        const { added, operation } = await seed.index(caller, { username: body.username, files: entries });
        return {
          message: `${added.length} of ${entries.length} files newly added`,
          files: [...added],
          operation: [...operation],
        };
      },
    }),
    route({
      method: 'post',
      path: '/search',
      section: 'original',
      summary: 'Tells who offers files of these names, and where',
      access: 'caller',
      body: seedSearchBodySchema,
      answer: seedFoundSchema,
      errors: [],
      handle: async ({ caller, body }) => {
        const { hits, missing } = await seed.search(caller.user, body.files);
        const message = missing.length === 0 ? `found all ${hits.length}` : `not found: ${missing.join(', ')}`;
        return { message, files: [...hits] };
      },
    }),
  ];
}
