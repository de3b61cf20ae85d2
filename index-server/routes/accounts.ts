import { ShoalError } from '../../common/errors.js';
import type { Accounts } from '../accounts.js';
import {
  accountSchema,
  loginBodySchema,
  passwordBodySchema,
  registerBodySchema,
  sessionSchema,
} from '../api/accounts.js';
import { PEER_ACCOUNT } from '../api/values.js';
import type { Caller, CallerSession } from '../auth.js';
import { type AnyRoute, route } from '../routing.js';

/** What these routes call. */
export interface AccountRouteDeps {
  readonly accounts: Accounts;
}

/** Accounts and sessions. */
export function accountRoutes({ accounts }: AccountRouteDeps): readonly AnyRoute[] {
  return [
    route({
      method: 'post',
      path: '/api/v1/accounts',
      section: 'accounts',
      summary: 'Creates an account and begins its first session',
      access: 'anyone',
      body: registerBodySchema,
      answer: sessionSchema,
      status: 201,
      errors: ['conflict', 'denied', 'throttled'],
      handle: async ({ body }) => (await accounts.register(body.username, body.password)).session,
    }),
    route({
      method: 'post',
      path: '/api/v1/sessions',
      section: 'accounts',
      summary: 'Begins a session',
      access: 'anyone',
      body: loginBodySchema,
      answer: sessionSchema,
      status: 201,
      errors: ['unauthenticated', 'throttled'],
      handle: async ({ body, address }) => (await accounts.login({ ...body, address })).session,
    }),
    route({
      method: 'delete',
      path: '/api/v1/sessions/current',
      section: 'accounts',
      summary: 'Ends the session that the request is made in',
      access: 'caller',
      errors: [],
      handle: async ({ caller }) => {
        await accounts.logout(sessionOf(caller));
        return undefined;
      },
    }),
    route({
      method: 'get',
      path: '/api/v1/account',
      section: 'accounts',
      summary: 'Tells in whose name the caller acts',
      access: 'caller',
      tickets: ['publish'],
      answer: accountSchema,
      errors: [],
      handle: async ({ caller: { user, session } }) => ({
        userId: user.id,
        username: user.name,
        peerAccount: user.id === PEER_ACCOUNT,
        expiresAt: session === undefined ? null : new Date(session.expiresAt).toISOString(),
      }),
    }),
    route({
      method: 'put',
      path: '/api/v1/account/password',
      section: 'accounts',
      summary: "Changes the caller's password and ends the user's other sessions",
      access: 'caller',
      body: passwordBodySchema,
      errors: ['throttled'],
      handle: async ({ caller, body, address }) => {
        const keep = sessionOf(caller);
        const change = { current: body.currentPassword, next: body.newPassword, address, keep };
        await accounts.changePassword(caller.user, change);
        return undefined;
      },
    }),
  ];
}

function sessionOf({ session }: Caller): CallerSession {
  if (session !== undefined) return session;
  throw new ShoalError('denied', "this needs a session; the peers' own account has none", {
    hint: 'log in with: shoal login USER',
  });
}
