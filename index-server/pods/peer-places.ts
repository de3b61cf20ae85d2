import { z } from 'zod';
import type { Place } from '../api/peers.js';

/*
 * Whether a peer whose pod ends comes back. Pure but for the interface.
 * https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#ordinal-index
 */

/** Who knows whether a peer comes back. */
export interface PeerPlaces {
  /** Throws `unavailable` when it cannot be found out now. */
  of(peer: string): Promise<Place>;
}

/** Nobody knows: there is no Kubernetes, or it was not said which StatefulSet has the peers. */
export class UnknownPlaces implements PeerPlaces {
  async of(): Promise<Place> {
    return 'unknown';
  }
}

/** What counts of a StatefulSet. */
export const statefulSetSchema = z.object({
  metadata: z.object({ name: z.string(), deletionTimestamp: z.string().nullish() }),
  spec: z.object({
    replicas: z.number().int().nullish(),
    ordinals: z.object({ start: z.number().int().nullish() }).nullish(),
  }),
});
/** What counts of a StatefulSet. */
export type StatefulSet = z.output<typeof statefulSetSchema>;

/** Whether a StatefulSet starts a pod of this name again. One that is deleted starts none, and takes all of them away. */
export function placeIn({ metadata, spec }: StatefulSet, peer: string): Place {
  if (metadata.deletionTimestamp !== undefined && metadata.deletionTimestamp !== null) return 'unknown';
  const prefix = `${metadata.name}-`;
  const ordinal = peer.startsWith(prefix) ? peer.slice(prefix.length) : '';
  if (!/^(0|[1-9][0-9]{0,8})$/.test(ordinal)) return 'unknown';
  const start = spec.ordinals?.start ?? 0;
  const end = start + (spec.replicas ?? 1);
  return Number(ordinal) >= start && Number(ordinal) < end ? 'kept' : 'given_up';
}
