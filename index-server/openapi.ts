import { z } from 'zod';
import { type ErrorCode, HTTP_STATUS } from '../common/errors.js';
import { problemSchema } from './api/statements.js';
import { ON_BEHALF_HEADER } from './api/values.js';
import type { Access, AnyRoute, Section } from './routing.js';

/*
 * The OpenAPI 3.1 document, made from the declarations of the routes. JSON Schema 2020-12, which zod writes, is the
 * schema language of OpenAPI 3.1, so schemas go in as they are; named ones move to `components`.
 */

type Json = Record<string, unknown>;

const SECTIONS: Readonly<Record<Section, string>> = {
  accounts: 'Accounts and sessions',
  files: 'The catalogue, and the way to the bytes',
  peers: 'The swarm',
  original: 'The routes of the course project that this grew from',
  operation: 'Probes, metrics and this document',
};

/** Schemas shared by several routes, by name. */
class Components {
  readonly schemas: Json = {};

  /** JSON Schema of `schema` as callers send it (`input`) or get it (`output`), named parts taken out. */
  add(schema: z.ZodType, io: 'input' | 'output'): Json {
    const {
      $schema: _,
      $defs = {},
      ...root
    } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json & {
      $defs?: Json;
    };
    for (const [name, definition] of Object.entries($defs)) this.schemas[name] = relocate(definition);
    return relocate(root) as Json;
  }
}

/** The document that `GET /openapi.json` answers. */
export function openApiDocument(routes: readonly AnyRoute[], version: string): Json {
  const components = new Components();
  const problem = components.add(problemSchema, 'output');
  const paths: Record<string, Json> = {};
  for (const declared of routes) {
    paths[declared.path] = { ...paths[declared.path], [declared.method]: operation(declared, components, problem) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Shoal index',
      version,
      description: 'Accounts, the catalogue, and who holds which file. Failures are problem details (RFC 9457).',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: Object.entries(SECTIONS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: components.schemas,
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'A session, or the token that a peer got when it joined',
        },
        join: { type: 'http', scheme: 'join', description: 'The join secret, as `Authorization: Join SECRET`' },
      },
    },
  };
}

function operation(declared: AnyRoute, components: Components, problem: Json): Json {
  const { method, path, section, summary, access, params, query, body, answer, content, status = 200 } = declared;
  const success = answer === undefined ? 204 : status;
  const result = answer === undefined ? {} : { content: contentOf(components.add(answer, 'output'), content) };
  const parameters = [
    ...parametersOf(params, 'path', components),
    ...parametersOf(query, 'query', components),
    ...(mayActOnBehalf(access) ? [ON_BEHALF_PARAMETER] : []),
  ];
  return {
    operationId: operationId(method, path),
    tags: [section],
    summary,
    security: securityOf(access),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && { requestBody: { required: true, content: contentOf(components.add(body, 'input')) } }),
    responses: { [success]: { description: 'Done', ...result }, ...failures(declared, problem) },
  };
}

const ON_BEHALF_PARAMETER = {
  name: ON_BEHALF_HEADER,
  in: 'header',
  required: false,
  description: 'From a peer: the session of the user that it acts for, or where that suffices a ticket',
  schema: { type: 'string' },
};

function mayActOnBehalf(access: Access): boolean {
  return access === 'caller' || access === 'peer';
}

function securityOf(access: Access): Json[] {
  if (access === 'anyone') return [];
  // Without a join secret, peers on the same machine need none.
  return access === 'joiner' ? [{ join: [] }, {}] : [{ bearer: [] }];
}

/** What a declaration implies, besides the failures it names. */
function failures({ access, body, params, query, errors, section }: AnyRoute, problem: Json): Json {
  if (section === 'operation' && errors.length === 0) return {};
  const codes = new Set<ErrorCode>(errors);
  if (section !== 'operation') codes.add('unavailable').add('internal');
  if (body !== undefined || params !== undefined || query !== undefined) codes.add('invalid');
  if (body !== undefined) codes.add('too_large');
  if (access !== 'anyone') codes.add('unauthenticated').add('denied');
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) byStatus.set(HTTP_STATUS[code], [...(byStatus.get(HTTP_STATUS[code]) ?? []), code]);
  const sorted = [...byStatus].sort(([a], [b]) => a - b);
  const content = { 'application/problem+json': { schema: problem } };
  return Object.fromEntries(sorted.map(([status, names]) => [status, { description: names.join(', '), content }]));
}

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query', components: Components): Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = components.add(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...property }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description !== undefined && { description }),
    schema: property,
  }));
}

function contentOf(schema: Json, mediaType = 'application/json'): Json {
  return { [mediaType]: { schema } };
}

function operationId(method: string, path: string): string {
  const words = path
    .replace('/api/v1', '')
    .split(/[^A-Za-z]+/)
    .filter((word) => word !== '');
  return [method, ...words]
    .map((word, index) => (index === 0 ? word : word[0]?.toUpperCase() + word.slice(1)))
    .join('');
}

/** References into `$defs` become references into `components`. */
function relocate(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(relocate);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key !== '$ref' || typeof inner !== 'string') return [key, relocate(inner)];
      return [key, inner.replace('#/$defs/', '#/components/schemas/')];
    }),
  );
}
