import { z } from 'zod';
import { ShoalError, toShoalError } from '../../common/errors.js';
import {
  fileDetailSchema,
  filePageSchema,
  listQuerySchema,
  locateBodySchema,
  locatedSchema,
  locateManyBodySchema,
  patchBodySchema,
  publishBodySchema,
  publishedSchema,
  publishManyBodySchema,
  publishTicketSchema,
  removedSchema,
  searchQuerySchema,
} from '../api/files.js';
import { type LocatedMany, locatedManySchema, publishedManySchema } from '../api/statements.js';
import { refSchema } from '../api/values.js';
import type { Caller } from '../auth.js';
import type { Finding } from '../finding.js';
import { problemOf } from '../problem.js';
import type { Publishing } from '../publishing.js';
import { type AnyRoute, route } from '../routing.js';
import type { Signer } from '../signer.js';

const refParamsSchema = z.object({
  ref: refSchema.meta({ description: 'Id, NAME or OWNER/NAME, percent-encoded as one segment (a slash is %2F)' }),
});

/** What the routes of files call. */
export interface FileRouteDeps {
  readonly finding: Finding;
  readonly publishing: Publishing;
  readonly signer: Signer;
  now(): number;
}

/** The catalogue, and the way to the bytes. */
export function fileRoutes(deps: FileRouteDeps): readonly AnyRoute[] {
  return [...readingRoutes(deps), ...writingRoutes(deps)];
}

function readingRoutes({ finding }: FileRouteDeps): readonly AnyRoute[] {
  return [
    route({
      method: 'get',
      path: '/api/v1/files',
      section: 'files',
      summary: 'Lists current files in order of name',
      access: 'caller',
      query: listQuerySchema,
      answer: filePageSchema,
      errors: [],
      handle: ({ caller, query }) => finding.list(caller.user, query),
    }),
    route({
      method: 'get',
      path: '/api/v1/search',
      section: 'files',
      summary: 'Finds current files by beginnings of words in their names, newest first',
      access: 'caller',
      query: searchQuerySchema,
      answer: filePageSchema,
      errors: [],
      handle: ({ caller, query }) => finding.search(caller.user, query),
    }),
    route({
      method: 'get',
      path: '/api/v1/files/{ref}',
      section: 'files',
      summary: 'Tells all about one file',
      access: 'caller',
      params: refParamsSchema,
      answer: fileDetailSchema,
      errors: ['not_found', 'conflict'],
      handle: ({ caller, params }) => finding.stat(caller.user, params.ref),
    }),
    route({
      method: 'post',
      path: '/api/v1/locate',
      section: 'files',
      summary: 'Tells where to fetch a file, with a ticket to show there',
      access: 'caller',
      tickets: ['publish', 'read', 'peer'],
      body: locateBodySchema,
      answer: locatedSchema,
      errors: ['not_found', 'conflict'],
      handle: ({ caller, body }) => finding.locate(caller, body),
    }),
    route({
      method: 'post',
      path: '/api/v1/locate/many',
      section: 'files',
      summary: 'Locates several files at once',
      access: 'caller',
      tickets: ['publish', 'read', 'peer'],
      body: locateManyBodySchema,
      answer: locatedManySchema,
      errors: [],
      handle: async ({ caller, body }) => ({
        answers: await Promise.all(body.refs.map((ref) => locateOneOf(finding, caller, ref))),
      }),
    }),
  ];
}

/** What one of several references means. That it means nothing, or too much, is an answer like others. */
async function locateOneOf(finding: Finding, caller: Caller, ref: string): Promise<LocatedMany['answers'][number]> {
  try {
    return await finding.locate(caller, { ref });
  } catch (thrown) {
    const error = toShoalError(thrown);
    if (error.code !== 'not_found' && error.code !== 'conflict') throw thrown;
    return { problem: problemOf(error) };
  }
}

function writingRoutes({ publishing, signer, now }: FileRouteDeps): readonly AnyRoute[] {
  return [
    route({
      method: 'post',
      path: '/api/v1/files',
      section: 'files',
      summary: 'Publishes a file that the calling peer holds completely',
      access: 'peer',
      tickets: ['publish'],
      body: publishBodySchema,
      answer: publishedSchema,
      status: 201,
      errors: ['conflict'],
      handle: ({ caller, body }) => publishing.publish(caller, body),
    }),
    route({
      method: 'post',
      path: '/api/v1/publish/many',
      section: 'files',
      summary: 'Publishes several files at once',
      access: 'peer',
      tickets: ['publish'],
      body: publishManyBodySchema,
      answer: publishedManySchema,
      errors: [],
      handle: async ({ caller, body }) => {
        const outcomes = await publishing.publishMany(caller, body.files);
        return {
          answers: outcomes.map((outcome) =>
            outcome instanceof ShoalError ? { problem: problemOf(outcome) } : outcome,
          ),
        };
      },
    }),
    route({
      method: 'post',
      path: '/api/v1/tickets',
      section: 'files',
      summary: 'Makes a ticket with which any gRPC client may upload to a peer',
      access: 'caller',
      answer: publishTicketSchema,
      errors: [],
      handle: async ({ caller: { user } }) => {
        const { token, expiresAt } = await signer.ticket({ sub: user.id, name: user.name, act: 'publish' }, now());
        return { ticket: token, expiresAt: new Date(expiresAt).toISOString() };
      },
    }),
    route({
      method: 'patch',
      path: '/api/v1/files/{ref}',
      section: 'files',
      summary: 'Changes tags, readers, visibility or the number of copies',
      access: 'caller',
      params: refParamsSchema,
      body: patchBodySchema,
      answer: fileDetailSchema,
      errors: ['not_found', 'conflict'],
      handle: ({ caller, params, body }) => publishing.patch(caller, params.ref, body),
    }),
    route({
      method: 'delete',
      path: '/api/v1/files/{ref}',
      section: 'files',
      summary: 'Removes a name with all its versions, or by id the versions with that id',
      access: 'caller',
      params: refParamsSchema,
      answer: removedSchema,
      errors: ['not_found', 'conflict'],
      handle: async ({ caller, params }) => ({ removed: await publishing.remove(caller, params.ref) }),
    }),
  ];
}
