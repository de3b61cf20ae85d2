import { z } from 'zod';
import { ShoalError } from '../../common/errors.js';
import type { Catalog } from '../catalog.js';
import { homePage } from '../home-page.js';
import type { IndexMetrics } from '../metrics.js';
import type { Passwords } from '../passwords.js';
import { type AnyRoute, type Readiness, route } from '../routing.js';

/** What the probes and the metrics look at. */
export interface OperationDeps {
  readonly catalog: Catalog;
  readonly readiness: Readiness;
  readonly metrics: IndexMetrics;
  readonly passwords: Passwords;
  now(): number;
}

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
        if (!readiness.isReady) throw new ShoalError('unavailable', 'the store is not open, or the server is stopping');
        await catalog.ping();
        return { status: 'ok' as const };
      },
    }),
  ];
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
async function readMetrics({ catalog, metrics, passwords, readiness, now }: OperationDeps): Promise<string> {
  metrics.passwordsWaiting.set(passwords.waiting);
  const counts = readiness.isReady ? await catalog.counts(now()).catch(() => undefined) : undefined;
  metrics.storeUp.set(counts === undefined ? 0 : 1);
  if (counts !== undefined) metrics.setFigures(counts);
  return metrics.registry.metrics();
}
