import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { pinoHttp } from 'pino-http';
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
  app.use(logRequests(deps));
  app.use(observe(deps));
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
    ['/livez', (response) => sendText(response, 200, 'ok\n')],
    [
      '/readyz',
      (response) => {
        const { isReady, reason = 'not ready' } = readiness();
        sendText(response, isReady ? 200 : 503, isReady ? 'ok\n' : `${reason}\n`);
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

function sendText(response: Response, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' }).end(text);
}

/**
 * One line a request: method, path, from where, status, time; those that went well only for who debugs. No header is
 * ever logged.
 */
function logRequests({ log }: HttpDoorDeps): RequestHandler {
  return pinoHttp<Request, Response>({
    logger: log,
    quietReqLogger: true,
    wrapSerializers: false,
    customLogLevel: (_request, { statusCode }) => (statusCode >= 500 ? 'warn' : statusCode >= 400 ? 'info' : 'debug'),
    serializers: {
      req: (request: Request) => ({
        method: request.method,
        path: pathOf(request),
        remoteAddress: request.socket.remoteAddress,
      }),
      res: (response: Response) => ({ status: response.statusCode }),
      // What went wrong is logged where it is known.
      err: () => undefined,
    },
  });
}

function pathOf({ originalUrl }: Request): string {
  const query = originalUrl.indexOf('?');
  return query === -1 ? originalUrl : originalUrl.slice(0, query);
}

/** Counts and times requests by the pattern of their route. */
function observe({ metrics }: HttpDoorDeps): RequestHandler {
  return (request, response, next) => {
    const begin = performance.now();
    response.once('close', () => {
      const route = (response.locals['route'] as string | undefined) ?? 'none';
      const method = METHODS.has(request.method) ? request.method : 'other';
      const code = response.writableFinished ? String(response.statusCode) : 'broken';
      metrics.httpRequests.inc({ route, method, code });
      metrics.httpSeconds.observe({ route }, (performance.now() - begin) / 1000);
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
