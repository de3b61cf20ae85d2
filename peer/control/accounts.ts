import { ShoalError } from '../../common/errors.js';
import type { Session } from '../../index-server/api/accounts.js';
import type { IndexClient } from '../../index-server/client.js';
import type { ChangePasswordRequest__Output } from '../../proto/gen/shoal/control/v1/ChangePasswordRequest.js';
import type { LoginRequest__Output } from '../../proto/gen/shoal/control/v1/LoginRequest.js';
import type { RegisterRequest__Output } from '../../proto/gen/shoal/control/v1/RegisterRequest.js';
import type { Membership } from '../membership.js';
import type { CallEdge } from './call.js';
import type { ControlHandlers } from './handlers.js';

/** Calls about accounts and sessions. Sessions are the caller's to keep: nothing of them stays here. */
export function accountHandlers(
  edge: CallEdge,
  deps: {
    readonly index: Pick<IndexClient, 'register' | 'login' | 'logout' | 'account' | 'changePassword'>;
    readonly membership: Pick<Membership, 'auth'>;
  },
): Pick<ControlHandlers, 'Register' | 'Login' | 'Logout' | 'WhoAmI' | 'ChangePassword'> {
  const { index, membership } = deps;
  return {
    Register: edge.unary('Register', async ({ username, password }: RegisterRequest__Output, { signal }) =>
      sessionMessage(await index.register(membership.auth(), { username, password }, signal)),
    ),
    Login: edge.unary('Login', async ({ username, password }: LoginRequest__Output, { signal }) =>
      sessionMessage(await index.login(membership.auth(), { username, password }, signal)),
    ),
    Logout: edge.unary('Logout', async (_request: object, { onBehalf, signal }) => {
      await index.logout(membership.auth(loggedIn(onBehalf)), signal);
      return {};
    }),
    WhoAmI: edge.unary('WhoAmI', async (_request: object, { onBehalf, signal }) => {
      const { username, peerAccount, expiresAt } = await index.account(membership.auth(onBehalf), signal);
      return { username, peerAccount, expiresAt: expiresAt ?? '' };
    }),
    ChangePassword: edge.unary(
      'ChangePassword',
      async ({ currentPassword, newPassword }: ChangePasswordRequest__Output, { onBehalf, signal }) => {
        const auth = membership.auth(loggedIn(onBehalf));
        await index.changePassword(auth, { currentPassword, newPassword }, signal);
        return {};
      },
    ),
  };
}

function loggedIn(onBehalf: string | undefined): string {
  if (onBehalf !== undefined) return onBehalf;
  throw new ShoalError('unauthenticated', 'nobody is logged in', { hint: 'shoal login USER' });
}

function sessionMessage({ username, token, expiresAt }: Session) {
  return { username, session: token, expiresAt };
}
