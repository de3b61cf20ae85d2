import { Metadata } from '@grpc/grpc-js';
import { ShoalError } from '../../common/errors.js';
import type { TicketClaims } from '../../index-server/api/statements.js';
import type { StoredFile } from '../stored-file.js';
import { authorizationOf, type Caller, checkMayPublish, checkMayReplicate, FileAccess } from './file-access.js';

const ID = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);

function caller(act: TicketClaims['act'], file?: string): Caller {
  const claims = { sub: 'u1', name: 'ann', act, exp: 9e9, ...(file !== undefined && { file }) };
  return { claims: claims as TicketClaims, ticket: 'ticket' };
}

function access({ isHere = true, isPublic = true } = {}): FileAccess {
  return new FileAccess({
    file: (id) => (isHere && id === ID ? ({ id } as StoredFile) : undefined),
    verifyTicket: (token) =>
      token === 'forged'
        ? Promise.reject(new ShoalError('unauthenticated', 'forged'))
        : Promise.resolve(caller('peer').claims),
    isPublic: () => Promise.resolve(isPublic),
  });
}

describe('who calls', () => {
  it('is who the ticket says', async () => {
    const metadata = new Metadata();
    metadata.set('authorization', 'bearer some-ticket');
    const known = await access().caller(authorizationOf(metadata));
    expect(known).toEqual({ claims: caller('peer').claims, ticket: 'some-ticket' });
  });

  it.each([undefined, '', 'some-ticket', 'Basic YTpi', 'Bearer '])('is nobody with %p', async (header) => {
    const refused = access().caller(header);
    await expect(refused).rejects.toMatchObject({ code: 'unauthenticated', hint: expect.stringContaining('locate') });
  });

  it('is nobody with a ticket that is no good', async () => {
    expect(authorizationOf(new Metadata())).toBeUndefined();
    await expect(access().caller('Bearer forged')).rejects.toMatchObject({
      code: 'unauthenticated',
      message: 'forged',
    });
  });
});

describe('a file', () => {
  it.each([
    ['a public one, for a peer', caller('peer'), {}, 'read'],
    ['a private one, for a peer', caller('peer'), { isPublic: false }, 'not_found'],
    ['a public one, with a read ticket for it', caller('read', ID), {}, 'read'],
    ['a private one, with a read ticket for it', caller('read', ID), { isPublic: false }, 'read'],
    ['one that is not here, with a read ticket for it', caller('read', ID), { isHere: false }, 'not_found'],
    ['one that is not here, for a peer', caller('peer'), { isHere: false }, 'not_found'],
    ['one that is here, with a read ticket for another', caller('read', OTHER), {}, 'denied'],
    ['one that is not here, with a read ticket for another', caller('read', OTHER), { isHere: false }, 'denied'],
    ['a public one, with a ticket to publish', caller('publish'), {}, 'not_found'],
  ])('%s: %s', async (_what, who, here, expected) => {
    const outcome = await access(here)
      .readable(who, ID)
      .then(
        ({ file }) => (file.id === ID ? 'read' : 'another'),
        (error: ShoalError) => error.code,
      );
    expect(outcome).toBe(expected);
  });

  it('is told to be public or not', async () => {
    expect(await access().readable(caller('read', ID), ID)).toMatchObject({ isPublic: true });
    expect(await access({ isPublic: false }).readable(caller('read', ID), ID)).toMatchObject({ isPublic: false });
  });

  it('has an id of 64 digits', async () => {
    const refused = access().readable(caller('peer'), '../etc/passwd');
    await expect(refused).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('../etc/passwd') });
    expect(() => checkMayReplicate(caller('peer'), 'AB'.repeat(32))).toThrow(
      expect.objectContaining({ code: 'invalid' }),
    );
  });
});

describe('publishing and copying', () => {
  const codeOf = (check: () => void) => {
    try {
      check();
      return 'ok';
    } catch (error) {
      return (error as ShoalError).code;
    }
  };

  it.each([
    ['publish', 'ok', 'denied'],
    ['peer', 'ok', 'ok'],
    ['read', 'denied', 'ok'],
  ] as const)('with a ticket to %s: %s, %s', (act, publishing, copying) => {
    const who = caller(act, act === 'read' ? ID : undefined);
    expect(codeOf(() => checkMayPublish(who))).toBe(publishing);
    expect(codeOf(() => checkMayReplicate(who, ID))).toBe(copying);
  });

  it('copies no other file than the ticket says', () => {
    expect(codeOf(() => checkMayReplicate(caller('read', OTHER), ID))).toBe('denied');
  });
});
