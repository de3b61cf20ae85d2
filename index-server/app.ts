import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { pinoHttp } from 'pino-http';
import { ShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import type { Authenticator } from './auth.js';
import type { IndexMetrics } from './metrics.js';
import { openApiDocument } from './openapi.js';
import { problemHandler } from './problem.js';
import { type AccountRouteDeps, accountRoutes } from './routes/accounts.js';
import { type FileRouteDeps, fileRoutes } from './routes/files.js';
import { type OperationDeps, probeRoutes, textRoutes } from './routes/operation.js';
import { type PeerRouteDeps, peerRoutes } from './routes/peers.js';
import { SEED_PATHS, type SeedRouteDeps, seedRoutes } from './routes/seed.js';
import { type AnyRoute, mountRoutes, routeOf } from './routing.js';

/** All that the app calls. */
export interface AppDeps extends AccountRouteDeps, FileRouteDeps, PeerRouteDeps, SeedRouteDeps, OperationDeps {
  readonly authenticator: Authenticator;
  readonly log: Logger;
  readonly version: string;
}

const QUIET_PATHS: ReadonlySet<string | undefined> = new Set(['/livez', '/readyz', '/metrics']);

/**
 * The HTTP side of the index: every route of the contract, its document, and one place where errors become answers.
 * Every path that it does not know is a `not_found` problem, every method that a path does not have a 405.
 */
export function createApp(deps: AppDeps): Express {
  const routes: readonly AnyRoute[] = [
    ...accountRoutes(deps),
    ...fileRoutes(deps),
    ...peerRoutes(deps),
    ...seedRoutes(deps),
    ...probeRoutes(deps),
    ...textRoutes(deps, () => openApiDocument(routes, deps.version)),
  ];
  const app = express();
  app.disable('etag');
  app.disable('x-powered-by');
  // One spelling for each path, as the document says.
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.use(requestLog(deps.log), safetyHeaders(), countRequests(deps.metrics));
  mountRoutes(app, routes, deps);
  app.use((request) => {
    throw new ShoalError('not_found', `there is nothing at ${request.path}`, {
      hint: 'GET /openapi.json lists all paths',
    });
  });
  app.use(problemHandler({ log: deps.log, extraFor: seedMembers }));
  return app;
}

/** The original told failure by `result`, and in words by `message`. */
function seedMembers(path: string, error: ShoalError): Readonly<Record<string, unknown>> {
  return SEED_PATHS.includes(path) ? { message: error.message, result: false } : {};
}

/** Helmet's, without those that send browsers to HTTPS, which this server does not speak. */
function safetyHeaders(): RequestHandler {
  return helmet({
    strictTransportSecurity: false,
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
  });
}

function requestLog(log: Logger): RequestHandler {
  return pinoHttp<IncomingMessage, ServerResponse>({
    // Of each request a few fields are told, none of them secret. Looking for secrets costs more than all else here.
    logger: log.child({}, { redact: [] }),
    genReqId: (request, response) => {
      const given = request.headers['x-request-id'];
      const id = typeof given === 'string' && /^[\w-]{1,64}$/.test(given) ? given : randomUUID();
      response.setHeader('X-Request-Id', id);
      return id;
    },
    autoLogging: { ignore: (request) => QUIET_PATHS.has(request.url) },
    // No headers: they carry credentials.
    serializers: {
      req: ({ id, method, url, remoteAddress }: Record<string, unknown>) => ({ id, method, url, remoteAddress }),
      res: ({ statusCode }: Record<string, unknown>) => ({ statusCode }),
    },
    customLogLevel: (_request, response, error) =>
      error !== undefined || response.statusCode >= 500 ? 'error' : response.statusCode >= 400 ? 'info' : 'debug',
  });
}

function countRequests(metrics: IndexMetrics): RequestHandler {
  const unmatched = { route: 'unmatched', method: 'any' };
  metrics.startRoute(unmatched.route, unmatched.method);
  return (request, response, next) => {
    const start = process.hrtime.bigint();
    response.once('close', () => {
      const route = routeOf(response);
      const labels = route === undefined ? unmatched : { route, method: request.method.replace('HEAD', 'GET') };
      metrics.observeRequest(labels, response.statusCode, Number(process.hrtime.bigint() - start) / 1e9);
    });
    next();
  };
}
