import type { PeerRow } from '../catalog.js';
import type { PodState } from './endpoint-slices.js';

/*
 * What the pods say about the peers. Pure: states of pods and rows of peers go in, verdicts come out.
 *
 * A pod and the peer in it go by the same name, and so does the pod that replaces it, so a verdict must never fall on the
 * next process of the name. It is therefore bound to the *incarnation* that the store knew when the watch told that the pod
 * stopped serving. In order of events:
 *
 *   1. Pod a serves, its peer joined as X. Nothing to say: the lease decides.
 *   2. The pod is deleted, or its container dies. The watch tells that it is absent, terminating or not serving any more.
 *      The rows of the peers are read, and a note is taken: "a, as X, with its lease until t". From here on the peer a is
 *      gone (draining while its pod terminates) for as long as its row says X.
 *   3. The new process joins as Y, here or at another server: the row says Y, the note says X, so Y is live at once,
 *      however late the watch tells of its pod.
 *   4. The watch tells that the pod serves: the note is thrown away.
 *
 * What can come in another order:
 *
 *   - A dying process may send one more heartbeat after 2. The row still says X, so nothing changes. Only for a pod that is
 *     there and does not serve (a container that restarts, a probe that failed) does a heartbeat since prove more than the
 *     probe did: the process lives.
 *   - Y joins between the deletion and the event that tells of it, so that 2 notes Y. It is gone wrongly, until the watch,
 *     which is behind, tells of the new pod: then its next heartbeat, or its first good probe, ends that.
 *   - A pod that is starting is present and not serving before its first probe. It never served, so there is nothing to
 *     note, and a note of X stays what it is. Y is live when it joins, not when the kubelet looks.
 *   - A name that the watch never saw (a peer outside the cluster, a wrong Service) is never judged.
 *   - The watch is lost: what it said is old. A note still stands against a silent process, and any sign of life since ends
 *     it. Nobody is noted before the watch is back.
 *
 * All of it is kept in the memory of one server and written nowhere: each server that watches finds the same by itself, and
 * one that may not watch is right by the leases, only later.
 */

/** What pods say of a peer: it is `gone`, or `draining`; undefined leaves it to the lease. */
export type PodVerdict = 'gone' | 'draining' | undefined;

type Judged = Pick<PeerRow, 'name' | 'incarnation' | 'leaseUntil'>;

/** The verdicts of one server. */
export class PodVerdicts {
  #states: ReadonlyMap<string, PodState> = new Map();
  #isInSync = false;
  /** How a peer stood in the store when its pod stopped serving. */
  readonly #notes = new Map<string, Pick<PeerRow, 'incarnation' | 'leaseUntil'>>();
  /** Pods that stopped serving and whose peers have not been looked up since. */
  readonly #pending = new Set<string>();
  #version = 0;

  /** Changes whenever a verdict may have changed. */
  get version(): number {
    return this.#version;
  }

  get isInSync(): boolean {
    return this.#isInSync;
  }

  /** These are the pods now. */
  update(states: ReadonlyMap<string, PodState>): void {
    for (const [name, before] of this.#states) {
      const after = states.get(name);
      const hasStopped = after !== 'serving' && after !== before;
      // No container is started again in a pod that terminates: the process noted then is the one that goes now, and
      // whoever has joined since is in another pod.
      const isNoted = before === 'terminating' && this.#notes.has(name);
      if (hasStopped && !isNoted) this.#pending.add(name);
    }
    for (const [name, state] of states) {
      if (state === 'serving') {
        this.#notes.delete(name);
        this.#pending.delete(name);
      } else if (state === 'terminating' && !this.#states.has(name)) {
        this.#pending.add(name);
      }
    }
    this.#states = states;
    this.#isInSync = true;
    this.#version += 1;
  }

  /** Nothing is heard of the pods any more, until the next {@link update} or {@link resume}. */
  lose(): void {
    if (!this.#isInSync) return;
    this.#isInSync = false;
    this.#version += 1;
  }

  /** The watch goes on where it was, and missed nothing. */
  resume(): void {
    if (this.#isInSync) return;
    this.#isInSync = true;
    this.#version += 1;
  }

  /** The names to be looked up. Give them to {@link note} with rows that were read after this call, or put them back. */
  takePending(): ReadonlySet<string> {
    const names = new Set(this.#pending);
    this.#pending.clear();
    return names;
  }

  /** They could not be looked up. Those of them that serve by now need it no more. */
  putBack(names: ReadonlySet<string>): void {
    for (const name of names) if (this.#states.get(name) !== 'serving') this.#pending.add(name);
  }

  /** Binds what happened to `names` to the processes that `rows`, all that the store knows, have for them. */
  note(names: ReadonlySet<string>, rows: readonly Judged[]): void {
    const known = new Set<string>();
    for (const { name, incarnation, leaseUntil } of rows) {
      known.add(name);
      const isStill = names.has(name) && this.#states.get(name) !== 'serving';
      if (isStill) this.#notes.set(name, { incarnation, leaseUntil });
    }
    for (const name of this.#notes.keys()) if (!known.has(name)) this.#notes.delete(name);
    if (names.size > 0) this.#version += 1;
  }

  /** What the pods say of a peer as the store knows it. */
  of({ name, incarnation, leaseUntil }: Judged): PodVerdict {
    const note = this.#notes.get(name);
    if (note?.incarnation !== incarnation) return undefined;
    const state = this.#states.get(name);
    const hasSpokenSince = leaseUntil > note.leaseUntil;
    if (hasSpokenSince && (!this.#isInSync || state === 'not_serving')) return undefined;
    return state === 'terminating' ? 'draining' : 'gone';
  }
}
