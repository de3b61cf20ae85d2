import { json, type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { HTTP_STATUS, ShoalError, toShoalError } from '../../common/errors.js';
import { checkInput } from '../../common/validation.js';
import {
  seedFoundSchema,
  seedIndexedSchema,
  seedLoginBodySchema,
  seedResultSchema,
} from '../../index-server/api/original.js';
import { LIMITS } from '../../index-server/api/values.js';
import { clientGone } from './abort.js';
import { discardBody, limitIdle, sendContinue } from './body-intake.js';
import type { Admitted, HttpDoorDeps, HttpDoorOptions } from './deps.js';
import { detailOf, fromHttpError, methodNotAllowed, sendProblem } from './problem.js';
import { downloadHits } from './seed-download.js';
import { FileRegistrar, type SeedUser } from './seed-register.js';

/*
 * The four routes that the original's users know, answered in the original's JSON. They are a thin layer: accounts and
 * search are the index's, publishing and transfers those of the rest of the peer. A request carries a user name and no
 * token; the session that /clogin began stands for it here.
 */

const filesSchema = z.array(z.string().min(1).max(LIMITS.nameBytes)).max(LIMITS.pageMax);
/** Any texts: one that is no name is told of in `operation`, and the others still go. */
const offeredSchema = z.array(z.string()).max(LIMITS.pageMax);
const usernameSchema = z.string().min(1).max(256);
const loginSchema = seedLoginBodySchema.extend({ username: usernameSchema });
const indexSchema = z.object({ username: usernameSchema, files: offeredSchema });
const searchSchema = z.object({ username: usernameSchema.optional(), files: filesSchema });
const logoutSchema = z.object({ username: usernameSchema });

/** An answer in the original's form. */
interface SeedReply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

interface SeedCall<B> {
  readonly body: B;
  readonly access: Admitted;
  readonly signal: AbortSignal;
}

/** `POST /clogin /cindex /csearch /clogout`. `access` says who calls, or throws. */
export function seedRoutes(
  deps: HttpDoorDeps,
  options: HttpDoorOptions,
  access: (request: Request) => Admitted,
): Router {
  const seed = new SeedFlows(deps);
  const router = Router({ caseSensitive: true });
  // What is JSON and no object is for the schema to refuse, which says so.
  const parse = json({ limit: LIMITS.bodyBytes, strict: false });
  const mount = <S extends z.ZodType>(
    path: string,
    schema: S,
    flow: (call: SeedCall<z.output<S>>) => Promise<SeedReply>,
  ) => {
    router.all(path, async (request, response) => {
      if (request.method !== 'POST') throw methodNotAllowed(request.method, 'POST');
      response.locals['route'] = path;
      const caller = access(request);
      const { signal } = clientGone(response);
      try {
        const body = readBody(schema, await bodyOf(request, response, { parse, idleMs: options.idleMs }));
        send(response, await flow({ body, access: caller, signal }));
      } catch (thrown) {
        const error = fromHttpError(thrown);
        if (error.code === 'internal') deps.log.error({ error: thrown }, 'request failed');
        sendFailure(response, error);
        discardBody(request);
      }
    });
  };
  mount('/clogin', loginSchema, (call) => seed.login(call));
  mount('/cindex', indexSchema, (call) => seed.index(call));
  mount('/csearch', searchSchema, (call) => seed.search(call));
  mount('/clogout', logoutSchema, (call) => seed.logout(call));
  return router;
}

class SeedFlows {
  readonly #deps: HttpDoorDeps;
  readonly #registrar: FileRegistrar;

  constructor(deps: HttpDoorDeps) {
    this.#deps = deps;
    this.#registrar = new FileRegistrar(deps);
  }

  async login({ body, access, signal }: SeedCall<z.output<typeof loginSchema>>): Promise<SeedReply> {
    const { index, membership, sessions } = this.#deps;
    if (access.kind === 'session') await this.#checkOwner(access.token, body.username, signal);
    const answer = await index.seedLogin(membership.auth(), body, signal);
    if (answer.status !== 200) return failure(answer);
    const { message, token, expiresAt } = seedResultSchema.parse(answer.body);
    if (token === undefined || expiresAt === undefined)
      throw new TypeError('the index answered a login without a session');
    await sessions.keep(body.username, { token, expiresAt });
    return { status: 200, body: { message, result: true } };
  }

  async index({ body, access, signal }: SeedCall<z.output<typeof indexSchema>>): Promise<SeedReply> {
    const { index, membership } = this.#deps;
    const user = await this.#user(access, body.username, signal);
    const names = [...new Set(body.files)];
    const { registered, operation } = await this.#registrar.register(names, user, signal);
    let added: readonly string[] = [];
    if (registered.length > 0) {
      const request = { username: user.username, files: registered };
      const answer = await index.seedIndex(membership.auth(user.token), request, signal);
      if (answer.status !== 200) return failure(answer);
      added = seedIndexedSchema.parse(answer.body).files;
    }
    const message = `${registered.length} of ${names.length} files registered, ${added.length} of them new`;
    return { status: 200, body: { message, files: added, operation } };
  }

  async search({ body, access, signal }: SeedCall<z.output<typeof searchSchema>>): Promise<SeedReply> {
    const { index, membership } = this.#deps;
    const onBehalf = await this.#searcher(access, body.username, signal);
    const names = [...new Set(body.files)];
    const answer = await index.seedSearch(membership.auth(onBehalf), { files: names }, signal);
    if (answer.status !== 200) return failure(answer);
    const { files } = seedFoundSchema.parse(answer.body);
    const operation = await downloadHits(this.#deps, { names, hits: files, onBehalf }, signal);
    const found = new Set(files.map((hit) => hit.filename)).size;
    return { status: 200, body: { message: `${found} of ${names.length} files found`, files, operation } };
  }

  async logout({ body, access, signal }: SeedCall<z.output<typeof logoutSchema>>): Promise<SeedReply> {
    const { index, membership, sessions } = this.#deps;
    const user = await this.#user(access, body.username, signal);
    const answer = await index.seedLogout(membership.auth(user.token), { username: user.username }, signal);
    if (answer.status !== 200) return failure(answer);
    if (sessions.token(user.username) === user.token) await sessions.forget(user.username);
    return { status: 200, body: { message: seedResultSchema.parse(answer.body).message, result: true } };
  }

  /** The user that a request names, with a session that the index still knows; `not_found` when there is none. */
  async #user(access: Admitted, username: string, signal: AbortSignal): Promise<SeedUser> {
    if (access.kind === 'session') return await this.#checkOwner(access.token, username, signal);
    const { sessions } = this.#deps;
    const token = sessions.token(username);
    if (token === undefined) throw notLoggedIn(username);
    try {
      return await this.#checkOwner(token, username, signal);
    } catch (thrown) {
      if (toShoalError(thrown).code !== 'unauthenticated') throw thrown;
      if (sessions.token(username) === token) await sessions.forget(username);
      throw notLoggedIn(username, thrown);
    }
  }

  /** A search may name no user: it is then that of the token, or the peer's own account. */
  async #searcher(access: Admitted, username: string | undefined, signal: AbortSignal): Promise<string | undefined> {
    if (username !== undefined) return (await this.#user(access, username, signal)).token;
    return access.kind === 'session' ? access.token : undefined;
  }

  async #checkOwner(token: string, username: string, signal: AbortSignal): Promise<SeedUser> {
    const { index, membership } = this.#deps;
    const account = await index.account(membership.auth(token), signal);
    if (account.username.toLowerCase() === username.toLowerCase()) return { username: account.username, token };
    throw new ShoalError('denied', `the session that was sent is not one of '${username}'`);
  }
}

function notLoggedIn(username: string, cause?: unknown): ShoalError {
  return new ShoalError('not_found', `'${username}' is not logged in here: POST /clogin first`, { cause });
}

/** Runs Express's body parser, for a client that may be waiting to be asked for the body. */
async function bodyOf(
  request: Request,
  response: Response,
  options: { readonly parse: ReturnType<typeof json>; readonly idleMs: number },
): Promise<unknown> {
  sendContinue(request, response);
  const release = limitIdle(request, options.idleMs);
  try {
    await new Promise<void>((resolve, reject) => {
      options.parse(request, response, (error?: Error) => (error === undefined ? resolve() : reject(error)));
    });
  } finally {
    release();
  }
  return request.body;
}

function readBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  if (body === undefined) {
    throw new ShoalError('invalid', 'the request has no JSON body (send it with Content-Type: application/json)');
  }
  const checked = checkInput(schema, body, 'body');
  if (checked.ok) return checked.data;
  throw new ShoalError('invalid', checked.faults.map(({ sentence }) => sentence).join('; '), { cause: checked.error });
}

/** What the index refused, in its words. */
function failure({ status, body }: { readonly status: number; readonly body: unknown }): SeedReply {
  const { message, detail } = (body ?? {}) as { message?: unknown; detail?: unknown };
  const text = [message, detail].find((value) => typeof value === 'string') ?? `the index answered ${status}`;
  return { status, body: { message: text, result: false } };
}

function sendFailure(response: Response, error: ShoalError): void {
  if (error.code === 'unauthenticated') {
    sendProblem(response, error, { message: error.message, result: false });
    return;
  }
  const { status = HTTP_STATUS[error.code] } = (error.details ?? {}) as { status?: number };
  send(response, { status, body: { message: detailOf(error), result: false } });
}

function send(response: Response, { status, body }: SeedReply): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': bytes.length });
  response.end(bytes);
}
