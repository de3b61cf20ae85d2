import { z } from 'zod';
import { ShoalError } from '../../common/errors.js';
import {
  announceBodySchema,
  announcedSchema,
  handedOverSchema,
  handOverBodySchema,
  heartbeatAnswerSchema,
  heartbeatBodySchema,
  joinBodySchema,
  joinedSchema,
  keysSchema,
  peersSchema,
  placeSchema,
  reportBodySchema,
  restoreBodySchema,
  restoredSchema,
  withdrawQuerySchema,
} from '../api/peers.js';
import { peerNameSchema } from '../api/values.js';
import type { Caller } from '../auth.js';
import type { HandOver } from '../hand-over.js';
import type { Membership } from '../membership.js';
import type { Restoring } from '../restoring.js';
import { type AnyRoute, route } from '../routing.js';
import type { PeerIdentity, Signer } from '../signer.js';

/** A connection that waits longer than this for its next heartbeat costs more than a new one. */
const IDLE_MS = 15_000;

const peerParamsSchema = z.object({ name: peerNameSchema });

/** What the routes of peers call. */
export interface PeerRouteDeps {
  readonly membership: Membership;
  readonly restoring: Restoring;
  readonly handOver: HandOver;
  readonly signer: Signer;
}

/** The swarm: how peers come, stay and go, and what others may know of them. */
export function peerRoutes(deps: PeerRouteDeps): readonly AnyRoute[] {
  return [...lifeRoutes(deps), ...leavingRoutes(deps), ...swarmRoutes(deps)];
}

function lifeRoutes({ membership, restoring }: PeerRouteDeps): readonly AnyRoute[] {
  return [
    route({
      method: 'post',
      path: '/api/v1/peers',
      section: 'peers',
      summary: 'A peer joins',
      access: 'joiner',
      body: joinBodySchema,
      answer: joinedSchema,
      status: 201,
      errors: [],
      handle: ({ body }) => membership.join(body),
    }),
    route({
      method: 'post',
      path: '/api/v1/peers/{name}/heartbeat',
      section: 'peers',
      summary: 'Extends the lease of a peer and tells it what to do; 404 means join again',
      access: 'self',
      params: peerParamsSchema,
      body: heartbeatBodySchema,
      answer: heartbeatAnswerSchema,
      errors: ['not_found'],
      handle: ({ caller, body }) => membership.heartbeat(speaker(caller), body),
      closesConnection: ({ heartbeatMs }) => heartbeatMs > IDLE_MS,
    }),
    route({
      method: 'post',
      path: '/api/v1/peers/{name}/holdings',
      section: 'peers',
      summary: 'A peer tells what it holds; 404 means join again',
      access: 'self',
      params: peerParamsSchema,
      body: announceBodySchema,
      answer: announcedSchema,
      errors: ['not_found'],
      handle: ({ caller, body }) => membership.announce(speaker(caller), body),
    }),
    route({
      method: 'post',
      path: '/api/v1/peers/{name}/records',
      section: 'peers',
      summary: 'A peer gives back signed records that the index forgot',
      access: 'self',
      params: peerParamsSchema,
      body: restoreBodySchema,
      answer: restoredSchema,
      errors: [],
      handle: ({ body }) => restoring.restore(body.records),
    }),
  ];
}

function leavingRoutes({ membership, handOver }: PeerRouteDeps): readonly AnyRoute[] {
  return [
    route({
      method: 'get',
      path: '/api/v1/peers/{name}/place',
      section: 'peers',
      summary: 'Tells whether a peer whose pod ends comes back',
      access: 'self',
      params: peerParamsSchema,
      answer: placeSchema,
      errors: [],
      handle: async ({ caller }) => ({ place: await handOver.placeOf(speaker(caller)) }),
    }),
    route({
      method: 'post',
      path: '/api/v1/peers/{name}/hand-over',
      section: 'peers',
      summary: 'Has files of a draining peer copied to others, and tells which of them only it has yet',
      access: 'self',
      params: peerParamsSchema,
      body: handOverBodySchema,
      answer: handedOverSchema,
      errors: ['conflict'],
      handle: ({ caller, body }) => handOver.of(speaker(caller), body.ids),
    }),
    route({
      method: 'delete',
      path: '/api/v1/peers/{name}',
      section: 'peers',
      summary: 'A peer leaves',
      access: 'self',
      params: peerParamsSchema,
      query: withdrawQuerySchema,
      errors: [],
      handle: async ({ caller, query }) => {
        await membership.withdraw(speaker(caller), query.leftBehind ?? 0);
        return undefined;
      },
    }),
  ];
}

function swarmRoutes({ membership, signer }: PeerRouteDeps): readonly AnyRoute[] {
  return [
    route({
      method: 'get',
      path: '/api/v1/peers',
      section: 'peers',
      summary: 'Lists the peers',
      access: 'caller',
      answer: peersSchema,
      errors: [],
      handle: async () => ({ peers: await membership.peers() }),
    }),
    route({
      method: 'post',
      path: '/api/v1/reports',
      section: 'peers',
      summary: 'A peer tells that another served corrupt bytes',
      access: 'peer',
      body: reportBodySchema,
      errors: ['not_found'],
      handle: async ({ caller, body }) => {
        await membership.report(body, speaker(caller));
        return undefined;
      },
    }),
    route({
      method: 'get',
      path: '/api/v1/keys',
      section: 'peers',
      summary: 'The public keys that tickets and records are checked with',
      access: 'caller',
      answer: keysSchema,
      errors: [],
      handle: async () => ({ keys: [signer.publicJwk] }),
    }),
  ];
}

function speaker({ peer }: Caller): PeerIdentity {
  if (peer === undefined) throw new ShoalError('denied', 'only a peer that has joined may do this');
  return peer;
}
