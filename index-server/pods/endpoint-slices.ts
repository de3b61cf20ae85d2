import { z } from 'zod';

/*
 * What Kubernetes says of the pods behind a Service, as far as the index cares. Pure.
 * https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#conditions
 */

/**
 * How a pod stands. The peers' Service has `publishNotReadyAddresses`, which makes `ready` true whatever happens, so it is
 * `serving` and `terminating` that tell.
 */
export type PodState = 'serving' | 'not_serving' | 'terminating';

const endpointSchema = z.object({
  conditions: z
    .object({ ready: z.boolean().nullish(), serving: z.boolean().nullish(), terminating: z.boolean().nullish() })
    .nullish(),
  hostname: z.string().nullish(),
  targetRef: z.object({ kind: z.string().nullish(), name: z.string().nullish() }).nullish(),
});

const metadataSchema = z.object({ name: z.string().default(''), resourceVersion: z.string().default('') });

/** One slice of the endpoints of a Service. */
export const endpointSliceSchema = z.object({
  metadata: metadataSchema,
  endpoints: z.array(endpointSchema).nullish(),
});

/** What a list of slices answers. */
export const endpointSliceListSchema = z.object({
  metadata: metadataSchema,
  items: z.array(endpointSliceSchema),
});

/** One slice of the endpoints of a Service. */
export type EndpointSlice = z.output<typeof endpointSliceSchema>;
type Endpoint = z.output<typeof endpointSchema>;

/** A pod may stand in several slices (two address families, or while it is moved): what speaks for it counts. */
const RANK: Readonly<Record<PodState, number>> = { terminating: 0, not_serving: 1, serving: 2 };

/** The pods in these slices, by name. */
export function podStates(slices: Iterable<EndpointSlice>): ReadonlyMap<string, PodState> {
  const states = new Map<string, PodState>();
  for (const { endpoints } of slices) {
    for (const endpoint of endpoints ?? []) {
      const name = podName(endpoint);
      if (name === undefined) continue;
      const state = stateOf(endpoint);
      const known = states.get(name);
      if (known === undefined || RANK[state] > RANK[known]) states.set(name, state);
    }
  }
  return states;
}

function podName({ targetRef, hostname }: Endpoint): string | undefined {
  const name = targetRef?.kind === 'Pod' ? targetRef.name : hostname;
  return name === null || name === '' ? undefined : name;
}

/** What is not told is read as the API says: `serving` as `ready`, unknown `ready` as true, `terminating` as false. */
function stateOf({ conditions }: Endpoint): PodState {
  if (conditions?.terminating === true) return 'terminating';
  return (conditions?.serving ?? conditions?.ready ?? true) ? 'serving' : 'not_serving';
}
