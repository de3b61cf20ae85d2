import { z } from 'zod';
import { ShoalError } from '../../common/errors.js';
import type { Catalog } from '../catalog.js';
import { homePage } from '../home-page.js';
import type { IndexMetrics, StoreFigures } from '../metrics.js';
import type { Passwords } from '../passwords.js';
import type { PeerDirectory } from '../peer-directory.js';
import { type AnyRoute, type Readiness, route } from '../routing.js';

/** What the probes and the metrics look at. */
export interface OperationDeps {
  readonly catalog: Catalog;
  readonly readiness: Readiness;
  readonly metrics: IndexMetrics;
  readonly passwords: Passwords;
  readonly directory: PeerDirectory;
}

/** Probes do not wait for long, and a store that takes longer is of no use. */
const PING_MS = 2_000;

const probeSchema = z.object({ status: z.literal('ok') }).meta({ id: 'Probe' });

/** Probes. Live: the process answers. Ready: the store does too. */
export function probeRoutes({ catalog, readiness }: OperationDeps): readonly AnyRoute[] {
  return [
    route({
      method: 'get',
      path: '/livez',
      section: 'operation',
      summary: 'Whether the process answers',
      access: 'anyone',
      answer: probeSchema,
      errors: [],
      handle: async () => ({ status: 'ok' as const }),
    }),
    route({
      method: 'get',
      path: '/readyz',
      section: 'operation',
      summary: 'Whether the store answers and the server is not stopping',
      access: 'anyone',
      answer: probeSchema,
      errors: ['unavailable'],
      handle: async () => {
        if (!readiness.isReady) throw new ShoalError('unavailable', readiness.reason);
        await within(PING_MS, catalog.ping());
        return { status: 'ok' as const };
      },
    }),
  ];
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const error = new ShoalError('unavailable', `the store did not answer within ${timeoutMs / 1000} s`);
    timer = setTimeout(() => reject(error), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The page at `/`, the metrics, and the document of all routes, which `document` makes on the first call. */
export function textRoutes(
  deps: OperationDeps & { readonly version: string },
  document: () => object,
): readonly AnyRoute[] {
  let documentText: string | undefined;
  const common = { method: 'get', section: 'operation', access: 'anyone', answer: z.string(), errors: [] } as const;
  return [
    route({
      ...common,
      path: '/',
      summary: 'A page that says what this is',
      content: 'text/html',
      handle: async () => homePage(deps.version),
    }),
    route({
      ...common,
      path: '/metrics',
      summary: "Metrics in Prometheus' text form",
      content: 'text/plain; version=0.0.4; charset=utf-8',
      handle: () => readMetrics(deps),
    }),
    route({
      ...common,
      path: '/openapi.json',
      summary: 'This document',
      content: 'application/json',
      handle: async () => {
        documentText ??= JSON.stringify(document());
        return documentText;
      },
    }),
  ];
}

/** A store that is away is a metric, not a failure: the figures keep their last values and `store_up` tells. */
async function readMetrics(deps: OperationDeps): Promise<string> {
  const { metrics, passwords, readiness } = deps;
  metrics.passwordsWaiting.set(passwords.waiting);
  const figures = readiness.isReady ? await readFigures(deps).catch(() => undefined) : undefined;
  metrics.storeUp.set(figures === undefined ? 0 : 1);
  if (figures !== undefined) metrics.setFigures(figures);
  return metrics.registry.metrics();
}

async function readFigures({ catalog, directory }: OperationDeps): Promise<StoreFigures> {
  const peers = { live: 0, draining: 0, withdrawn: 0, gone: 0 };
  // Who left in good order is no loss.
  for (const { row, state } of await directory.all()) peers[row.state === 'withdrawn' ? row.state : state] += 1;
  return { ...(await catalog.counts()), peers };
}
