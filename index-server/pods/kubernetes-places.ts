import type { KubeConfig } from '@kubernetes/client-node';
import { ShoalError, toShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import type { Place } from '../api/peers.js';
import { getKubernetes, textOf } from './kubernetes-http.js';
import { type PeerPlaces, placeIn, statefulSetSchema } from './peer-places.js';

/** Which StatefulSet has the peers. */
export interface KubernetesPlacesOptions {
  readonly statefulSet: string;
  /** Undefined where nobody told, which is outside a cluster. */
  readonly namespace: string | undefined;
  readonly timeoutMs: number;
}

/** {@link PeerPlaces} by the StatefulSet of the peers, which is read when a peer asks: that is seldom, and has to be true. */
export class KubernetesPlaces implements PeerPlaces {
  readonly #deps: { readonly load: () => Promise<KubeConfig>; readonly log: Logger };
  readonly #options: KubernetesPlacesOptions;

  constructor(
    deps: { readonly load: () => Promise<KubeConfig>; readonly log: Logger },
    options: KubernetesPlacesOptions,
  ) {
    this.#deps = deps;
    this.#options = options;
  }

  async of(peer: string): Promise<Place> {
    const { statefulSet } = this.#options;
    try {
      return placeIn(await this.#read(), peer);
    } catch (thrown) {
      const error = toShoalError(thrown);
      // Deleted already: with it all peers go, and nobody stays to take anything.
      if (error.code === 'not_found') return 'unknown';
      this.#deps.log.warn({ error, statefulSet }, 'cannot tell whether the pod of a peer comes back');
      // To the peer it is not the one who may not ask.
      throw new ShoalError('unavailable', `the index cannot read the StatefulSet ${statefulSet}: ${error.message}`, {
        cause: error,
      });
    }
  }

  async #read() {
    const { statefulSet, namespace, timeoutMs } = this.#options;
    if (namespace === undefined) {
      throw new ShoalError('denied', 'SHOAL_NAMESPACE is not set, and no ServiceAccount tells the namespace');
    }
    const request = {
      path: `/apis/apps/v1/namespaces/${namespace}/statefulsets/${statefulSet}`,
      deniedHint: `give the ServiceAccount of the index get on statefulsets of apps, for ${statefulSet}`,
    };
    const response = await getKubernetes(this.#deps.load, request, AbortSignal.timeout(timeoutMs));
    return statefulSetSchema.parse(JSON.parse(await textOf(response)));
  }
}
