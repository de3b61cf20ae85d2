import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { ShoalError } from '../../common/errors.js';
import { connectionFacts, decideAccess } from './access.js';
import { discardBody } from './body-intake.js';
import type { Admitted, HttpDoorDeps, HttpDoorOptions } from './deps.js';
import { filesHandler } from './files.js';
import { fromHttpError, methodNotAllowed, sendProblem, unauthenticated } from './problem.js';
import { seedRoutes } from './seed.js';

const METHODS = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS']);

/**
 * The peer's HTTP door: files for programs that speak nothing but HTTP, the routes that the original's users know, and
 * the probes. Serve it with `createDoorServer`, which knows how to wait with a body.
 */
export function createHttpDoor(deps: HttpDoorDeps, options: HttpDoorOptions): Express {
  const app = express();
  // Nothing here reads a query, and the ETag of a file is its id.
  app.disable('etag').disable('x-powered-by').set('query parser', false).enable('case sensitive routing');

  const access = (request: Request): Admitted => {
    const decision = decideAccess(connectionFacts(request), options);
    if (decision.kind === 'refused') throw unauthenticated(decision.reason);
    return decision;
  };
  app.use(probes(deps));
  app.use(observe(deps));
  app.use(whenOpen(deps));
  app.use(filesHandler(deps, options, access));
  app.use(seedRoutes(deps, options, access));
  app.use((request: Request) => {
    throw new ShoalError('not_found', `there is nothing at ${request.path}`);
  });
  app.use(answerProblem(deps));
  return app;
}

/** `/livez /readyz /metrics`: no access rule, no log line. */
function probes({ readiness, metrics }: HttpDoorDeps): RequestHandler {
  const answers = new Map<string, (response: Response) => Promise<void> | void>([
    ['/livez', (response) => sendText(response, 200, readiness.phase === 'recovering' ? 'recovering\n' : 'ok\n')],
    [
      '/readyz',
      (response) => {
        const { isReady, reason } = readiness;
        sendText(response, isReady ? 200 : 503, `${reason ?? 'ok'}\n`);
      },
    ],
    [
      '/metrics',
      async (response) => {
        const text = await metrics.registry.metrics();
        response.setHeader('Content-Type', metrics.registry.contentType);
        response.end(text);
      },
    ],
  ]);
  return async (request, response, next) => {
    const answer = answers.get(request.path);
    if (answer === undefined) {
      next();
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed(request.method, 'GET, HEAD');
    await answer(response);
  };
}

/** Until the store is open there is nothing to answer with. */
function whenOpen({ readiness }: HttpDoorDeps): RequestHandler {
  return (_request, _response, next) => {
    if (readiness.phase !== 'recovering') {
      next();
      return;
    }
    throw new ShoalError('unavailable', 'this peer is still recovering its store', {
      hint: 'try again in a few seconds',
    });
  };
}

function sendText(response: Response, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' }).end(text);
}

function pathOf({ originalUrl }: Request): string {
  const query = originalUrl.indexOf('?');
  return query === -1 ? originalUrl : originalUrl.slice(0, query);
}

/**
 * Counts, times and logs requests when they are over: one line each with method, path, from where, status and time, of
 * those that went well only for who debugs. No header is ever logged.
 */
function observe({ metrics, log }: HttpDoorDeps): RequestHandler {
  return (request, response, next) => {
    const begin = performance.now();
    response.once('close', () => {
      const milliseconds = performance.now() - begin;
      const route = (response.locals['route'] as string | undefined) ?? 'none';
      const method = METHODS.has(request.method) ? request.method : 'other';
      const { statusCode: status, writableFinished: isWhole } = response;
      metrics.httpRequests.inc({ route, method, code: isWhole ? String(status) : 'broken' });
      metrics.httpSeconds.observe({ route }, milliseconds / 1000);
      const level = status >= 500 ? 'warn' : status >= 400 ? 'info' : 'debug';
      // Most requests are logged nowhere, and small files are asked for by the thousand.
      if (!log.isLevelEnabled(level)) return;
      const { remoteAddress } = request.socket;
      log[level](
        { req: { method: request.method, path: pathOf(request), remoteAddress }, res: { status }, milliseconds },
        isWhole ? 'request answered' : 'request broken off',
      );
    });
    next();
  };
}

/** The last middleware. An answer that has begun can only be broken off, so that the client sees it is not whole. */
function answerProblem({ log }: HttpDoorDeps) {
  return (thrown: unknown, request: Request, response: Response, _next: NextFunction): void => {
    const error = fromHttpError(thrown);
    if (error.code === 'internal') log.error({ error: thrown, path: pathOf(request) }, 'request failed');
    if (response.headersSent) {
      response.destroy();
      return;
    }
    sendProblem(response, error);
    discardBody(request);
  };
}
