import express, { type Express, type Request, type RequestHandler } from 'express';
import type { z } from 'zod';
import { type ErrorCode, ShoalError } from '../common/errors.js';
import { checkInput } from '../common/validation.js';
import type { TicketClaims } from './api/statements.js';
import { LIMITS, ON_BEHALF_HEADER } from './api/values.js';
import type { Authenticator, Caller } from './auth.js';
import type { IndexMetrics } from './metrics.js';

/*
 * A route is declared once: what comes in, who may call, what goes out. Validation, authentication, the 405s and
 * /openapi.json all follow from the declaration.
 */

/**
 * Who may call. `anyone`: no credentials. `joiner`: the join secret. `caller`: a session or a peer. `peer`: a peer,
 * for itself or a user. `self`: the peer named in the path.
 */
export type Access = 'anyone' | 'joiner' | 'caller' | 'peer' | 'self';

/** Sections of the API document. */
export type Section = 'accounts' | 'files' | 'peers' | 'original' | 'operation';

/** Whether the server takes work; the program turns it on once the store is open and off when it stops. */
export interface Readiness {
  isReady: boolean;
  /** Why not, while it is not. */
  reason: string;
}

/** What a handler gets. `caller` is there unless the route is for `anyone` or `joiner`. */
export interface RouteInput<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  /** Remote address of the connection. */
  readonly address: string;
  /** Throws `internal` on a route whose callers show no credentials. */
  readonly caller: Caller;
}

/** A route as it is declared. Its path is in the form of OpenAPI, `/files/{ref}`. */
export interface Route<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
  A extends z.ZodType = z.ZodType,
> {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  readonly path: string;
  readonly section: Section;
  readonly summary: string;
  readonly access: Access;
  /** With which tickets, in place of a session, a peer may call; none unless told. */
  readonly tickets?: readonly TicketClaims['act'][];
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Left out: the answer is 204. */
  readonly answer?: A;
  /** Media type of an answer that is text; JSON unless told. */
  readonly content?: string;
  /** Status of success, 200 unless told. */
  readonly status?: 200 | 201;
  /** Failures besides those that follow from the rest of the declaration. */
  readonly errors: readonly ErrorCode[];
  /** Whether after this answer the connection is closed; it is kept unless told. */
  closesConnection?(answer: z.input<A>): boolean;
  handle(input: RouteInput<z.output<P>, z.output<Q>, z.output<B>>): Promise<z.input<A> | undefined>;
}

/** A route of any types. */
// biome-ignore lint/suspicious/noExplicitAny: routes of different types stand in one list; each is checked where declared
export type AnyRoute = Route<any, any, any, any>;

/** Lets the compiler infer the types of a declaration from its schemas. */
export function route<
  P extends z.ZodType = z.ZodUndefined,
  Q extends z.ZodType = z.ZodUndefined,
  B extends z.ZodType = z.ZodUndefined,
  A extends z.ZodType = z.ZodUndefined,
>(declaration: Route<P, Q, B, A>): AnyRoute {
  return declaration;
}

/** Name of Express's own parameter form for an OpenAPI path. */
function expressPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

/** Puts routes into an app, with a 405 for the methods that their paths do not have. */
export function mountRoutes(
  app: Express,
  routes: readonly AnyRoute[],
  deps: { readonly authenticator: Authenticator; readonly metrics: IndexMetrics; readonly readiness: Readiness },
): void {
  const json = express.json({ limit: LIMITS.bodyBytes, strict: false, verify: refuseEmpty });
  const methodsOf = new Map<string, string[]>();
  for (const declared of routes) {
    const { method, path } = declared;
    deps.metrics.startRoute(path, method.toUpperCase());
    const steps: RequestHandler[] = [label(path)];
    if (declared.section !== 'operation') steps.push(whenReady(deps.readiness));
    steps.push(authenticate(declared, deps.authenticator));
    if (declared.body !== undefined) steps.push(json);
    app[method](expressPath(path), ...steps, answer(declared));
    methodsOf.set(path, [...(methodsOf.get(path) ?? []), method.toUpperCase(), ...(method === 'get' ? ['HEAD'] : [])]);
  }
  for (const [path, methods] of methodsOf) app.all(expressPath(path), refuseMethod(methods.join(', ')));
}

/** Where a request's route pattern and caller are kept on its way. */
interface Locals {
  route?: string;
  caller?: Caller;
}

/** The route pattern that a request matched, or undefined. */
export function routeOf(response: { readonly locals: object }): string | undefined {
  return (response.locals as Locals).route;
}

function label(path: string): RequestHandler {
  return (_request, response, next) => {
    (response.locals as Locals).route = path;
    next();
  };
}

function whenReady(readiness: Readiness): RequestHandler {
  return (_request, response, next) => {
    if (readiness.isReady) {
      next();
      return;
    }
    // The client should come back on another connection, to a server that is ready.
    response.setHeader('Connection', 'close');
    throw new ShoalError('unavailable', `the index is not ready: ${readiness.reason}`, {
      hint: 'try again in a few seconds',
    });
  };
}

function authenticate(declared: AnyRoute, authenticator: Authenticator): RequestHandler {
  return async (request, response, next) => {
    const { access } = declared;
    const credentials = { headers: request.headers, remoteAddress: request.socket.remoteAddress };
    if (access === 'joiner') authenticator.admit(credentials);
    if (access !== 'joiner' && access !== 'anyone') {
      const caller = await authenticator.caller(credentials);
      checkAccess(declared, caller, request.params.name);
      (response.locals as Locals).caller = caller;
    }
    next();
  };
}

function checkAccess({ access, tickets = [] }: AnyRoute, caller: Caller, name: unknown): void {
  if (caller.ticket !== undefined && !tickets.includes(caller.ticket.act)) {
    throw new ShoalError('denied', `the ticket in ${ON_BEHALF_HEADER} gives no right to this`);
  }
  if (access !== 'caller' && caller.peer === undefined) {
    throw new ShoalError('denied', 'only a peer that has joined may do this');
  }
  if (access === 'self' && caller.peer?.name !== name) {
    throw new ShoalError('denied', `this token belongs to the peer '${caller.peer?.name}'`);
  }
}

function answer(declared: AnyRoute): RequestHandler {
  return async (request, response) => {
    const { caller } = response.locals as Locals;
    const input = {
      params: parse(declared.params, request.params, 'path'),
      query: parse(declared.query, request.query, 'query'),
      body: parse(declared.body, request.body, 'body'),
      address: request.socket.remoteAddress ?? '',
      get caller(): Caller {
        if (caller === undefined) throw new ShoalError('internal', `${declared.path} has no caller`);
        return caller;
      },
    };
    const result: unknown = await declared.handle(input);
    // Answers are about this caller at this moment.
    response.setHeader('Cache-Control', 'no-store');
    if (declared.closesConnection?.(result)) response.setHeader('Connection', 'close');
    if (declared.answer === undefined) response.status(204).end();
    else if (declared.content !== undefined) response.type(declared.content).send(result);
    else response.status(declared.status ?? 200).json(result);
  };
}

function parse(schema: z.ZodType | undefined, value: unknown, place: 'path' | 'query' | 'body'): unknown {
  if (schema === undefined) return undefined;
  if (place === 'body' && value === undefined) throw noBody();
  const checked = checkInput(schema, value, place);
  if (checked.ok) return checked.data;
  throw new ShoalError('invalid', checked.faults[0]?.sentence ?? `the ${place} is not valid`, {
    cause: checked.error,
    details: { errors: checked.faults.map(({ path, message }) => ({ path, message })) },
  });
}

/** Express takes no body at all for `{}`. */
function refuseEmpty(_request: unknown, _response: unknown, body: Buffer): void {
  if (body.length === 0) throw noBody();
}

function noBody(): ShoalError {
  return new ShoalError('invalid', 'this needs a body in JSON, sent with Content-Type: application/json');
}

function refuseMethod(allow: string): RequestHandler {
  return (request: Request) => {
    throw new ShoalError('invalid', `${request.method} is not a method of this path`, {
      details: { allow, status: 405 },
    });
  };
}
