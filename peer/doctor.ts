import { constants } from 'node:fs';
import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toShoalError } from '../common/errors.js';
import type { Peer } from '../index-server/api/peers.js';
import type { IndexClient } from '../index-server/client.js';
import type { ChunkStore } from './chunk-store.js';
import type { LivePeer, Membership } from './membership.js';
import type { RemotePeers } from './swarm/remote-peer.js';
import { certificateFinding } from './tls/certificate-finding.js';
import type { TlsIdentity } from './tls/tls-identity.js';

/** One question and its answer. `hint` says what to do unless all is well. */
export interface Finding {
  readonly name: string;
  readonly result: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  readonly hint?: string;
}

/** What a {@link Doctor} looks at. */
export interface DoctorDeps {
  readonly index: Pick<IndexClient, 'peers'>;
  readonly membership: Membership;
  readonly peers: Pick<RemotePeers, 'info'>;
  readonly store: Pick<ChunkStore, 'usage'>;
  /** Undefined without TLS. */
  readonly tls: Pick<TlsIdentity, 'certificate' | 'expiresAtMs' | 'lastFailure'> | undefined;
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly random: () => number;
}

/** What the doctor compares with. Paths are absolute. */
export interface DoctorOptions {
  readonly indexUrl: string;
  readonly dataDir: string;
  readonly shareDir: string;
  readonly version: string;
  /** How long one question may take. */
  readonly timeoutMs: number;
}

/** Other peers that are called, chosen by chance. */
const SAMPLED_PEERS = 8;
const SKEW_WARNING_MS = 5_000;
const SKEW_FAILED_MS = 60_000;
/** Below this share of free space somebody should look. */
const LOW_SPACE = 0.05;

/** How a finding is come by, and which other one it makes no sense without. */
type Question = readonly [name: string, ask: (limit: AbortSignal) => Promise<Omit<Finding, 'name'>>, needs?: 'index'];

interface Answer {
  readonly finding: Finding;
  readonly needs: 'index' | undefined;
}

/** Looks for what is wrong with this peer and says what to do about it. */
export class Doctor {
  readonly #deps: DoctorDeps;
  readonly #options: DoctorOptions;

  constructor(deps: DoctorDeps, options: DoctorOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /**
   * All findings, always in the same order. Never throws: what cannot be looked at is a finding. While the index does
   * not answer, what depends on it is a warning that says so: one cause is one failure.
   */
  async diagnose(signal: AbortSignal): Promise<readonly Finding[]> {
    const answers = this.#questions().map(async ([name, ask, needs]): Promise<Answer> => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#options.timeoutMs)]);
      try {
        return { needs, finding: { name, ...(await ask(limit)) } };
      } catch (thrown) {
        const { message, hint } = toShoalError(thrown);
        return { needs, finding: { name, result: 'failed', detail: message, hint: hint ?? 'see the log of the peer' } };
      }
    });
    return withoutRepeats(await Promise.all(answers));
  }

  #questions(): readonly Question[] {
    return [
      ['index', (limit) => this.#index(limit)],
      ['membership', () => Promise.resolve(this.#membership()), 'index'],
      ['clock', (limit) => this.#clock(limit), 'index'],
      ['encryption', () => Promise.resolve(this.#encryption())],
      ['own address', (limit) => this.#ownAddress(limit)],
      ['other peers', (limit) => this.#others(limit)],
      ['versions', (limit) => this.#versions(limit), 'index'],
      ['space', () => Promise.resolve(this.#space())],
      ['disk', () => Promise.resolve(this.#disk())],
      ['data folder', () => this.#dataFolder()],
      ['share folder', () => this.#shareFolder()],
    ];
  }

  async #index(limit: AbortSignal): Promise<Omit<Finding, 'name'>> {
    const { indexUrl } = this.#options;
    try {
      const response = await this.#deps.fetch(`${indexUrl}/readyz`, { signal: limit });
      await response.body?.cancel();
      if (response.ok) return { result: 'ok', detail: `${indexUrl} answers and is ready` };
      return {
        result: 'failed',
        detail: `${indexUrl} answers but is not ready (${response.status})`,
        hint: 'look at the log of the index: its store may be away',
      };
    } catch (error) {
      return {
        result: 'failed',
        detail: `${indexUrl} does not answer: ${reasonOf(error)}`,
        hint: 'see whether the index runs, and whether SHOAL_INDEX_URL is its address',
      };
    }
  }

  #membership(): Omit<Finding, 'name'> {
    const { state, lastError, livePeerCount } = this.#deps.membership;
    if (state === 'live') {
      return { result: 'ok', detail: `in the swarm, with ${livePeerCount} live peers in all` };
    }
    if (state === 'draining') {
      return {
        result: 'warning',
        detail: 'this peer is draining: it takes no new files',
        hint: 'to take files again: shoal drain --undo',
      };
    }
    const why = lastError === undefined ? 'no answer yet' : lastError.message;
    return {
      result: 'failed',
      detail: state === 'joining' ? `not in the swarm yet: ${why}` : `cut off from the index: ${why}`,
      hint: lastError?.hint ?? 'see whether the index runs, and SHOAL_INDEX_URL and SHOAL_JOIN_SECRET_FILE',
    };
  }

  async #clock(limit: AbortSignal): Promise<Omit<Finding, 'name'>> {
    const sentAtMs = this.#deps.now();
    const response = await this.#deps.fetch(`${this.#options.indexUrl}/livez`, { signal: limit });
    await response.body?.cancel();
    const date = Date.parse(response.headers.get('date') ?? '');
    if (Number.isNaN(date)) {
      return { result: 'warning', detail: 'the index does not tell the time', hint: 'see what stands in front of it' };
    }
    // The header has whole seconds: half of one is the best guess.
    const skewMs = (sentAtMs + this.#deps.now()) / 2 - (date + 500);
    return clockFinding(skewMs);
  }

  #encryption(): Omit<Finding, 'name'> {
    const { tls, membership, now } = this.#deps;
    return tls === undefined
      ? { result: 'ok', detail: 'off: gRPC between peers is not encrypted' }
      : certificateFinding(tls, { address: membership.address, nowMs: now() });
  }

  async #ownAddress(limit: AbortSignal): Promise<Omit<Finding, 'name'>> {
    const { membership, peers } = this.#deps;
    const { address, peerName } = membership;
    const hint = `SHOAL_ADVERTISE_ADDRESS must be the host:port at which other peers reach this one`;
    try {
      const { peer, roundTripMs } = await peers.info(address, limit);
      if (peer === peerName) return { result: 'ok', detail: `${address} answers in ${roundTripMs.toFixed(1)} ms` };
      return { result: 'failed', detail: `another peer, ${peer}, answers at ${address}`, hint };
    } catch (error) {
      const { message, hint: better } = toShoalError(error);
      return { result: 'failed', detail: `${address} does not answer: ${message}`, hint: better ?? hint };
    }
  }

  async #others(limit: AbortSignal): Promise<Omit<Finding, 'name'>> {
    const sample = this.#sample(this.#deps.membership.livePeers);
    if (sample.length === 0) return { result: 'ok', detail: 'there are none' };
    const answers = await Promise.allSettled(sample.map(({ address }) => this.#deps.peers.info(address, limit)));
    const silent = sample.filter((_peer, index) => answers[index]?.status === 'rejected');
    if (silent.length === 0) return { result: 'ok', detail: `${sample.length} of ${sample.length} asked answer` };
    const names = silent.map(({ name, address }) => `${name} (${address})`).join(', ');
    const reasons = answers.flatMap((answer) => (answer.status === 'rejected' ? [toShoalError(answer.reason)] : []));
    const telling = reasons.find(({ hint }) => hint !== undefined);
    return {
      result: silent.length === sample.length ? 'failed' : 'warning',
      detail: `${silent.length} of ${sample.length} asked do not answer: ${names}${telling ? `; ${telling.message}` : ''}`,
      hint: telling?.hint ?? 'see whether a firewall or NetworkPolicy is in between, and run shoal doctor there',
    };
  }

  async #versions(limit: AbortSignal): Promise<Omit<Finding, 'name'>> {
    const peers = await this.#deps.index.peers(this.#deps.membership.auth(), limit);
    const others = peers.filter(({ state, version }) => state !== 'gone' && version !== this.#options.version);
    if (others.length === 0) return { result: 'ok', detail: `all peers run ${this.#options.version}` };
    return {
      result: 'warning',
      detail: `this peer runs ${this.#options.version}; ${describe(others)}`,
      hint: 'fine during an upgrade; otherwise bring all peers to one version',
    };
  }

  #space(): Omit<Finding, 'name'> {
    const { usedBytes, freeBytes, quotaBytes } = this.#deps.store.usage();
    const limit = quotaBytes > 0 ? `, quota ${quotaBytes}` : '';
    const detail = `${usedBytes} bytes used, ${freeBytes} free${limit}`;
    if (freeBytes === 0) {
      return { result: 'failed', detail, hint: 'remove files with shoal rm REF, raise SHOAL_QUOTA_BYTES or add disk' };
    }
    if (freeBytes < LOW_SPACE * (usedBytes + freeBytes)) {
      return { result: 'warning', detail, hint: 'soon nothing more can be stored: remove files or add disk' };
    }
    return { result: 'ok', detail };
  }

  #disk(): Omit<Finding, 'name'> {
    const { unsettledLogs } = this.#deps.store.usage();
    if (unsettledLogs === 0) return { result: 'ok', detail: 'takes what small files leave in the log of the store' };
    return {
      result: 'failed',
      detail: `did not take what ${unsettledLogs} logs of small files have; nothing is lost, but some cannot be changed`,
      hint: 'see what the log of the peer says of the disk; it is tried again when files come or go',
    };
  }

  async #dataFolder(): Promise<Omit<Finding, 'name'>> {
    const { dataDir } = this.#options;
    const probe = join(dataDir, `.doctor-${process.pid}`);
    try {
      await writeFile(probe, '', { mode: 0o600 });
      await rm(probe);
      return { result: 'ok', detail: `${dataDir} can be written` };
    } catch (error) {
      const hint = 'see its owner and mode, and whether the volume is mounted read-only';
      return { result: 'failed', detail: `${dataDir} cannot be written: ${reasonOf(error)}`, hint };
    }
  }

  async #shareFolder(): Promise<Omit<Finding, 'name'>> {
    const { shareDir } = this.#options;
    try {
      await access(shareDir, constants.R_OK | constants.X_OK);
      return { result: 'ok', detail: `${shareDir} can be read` };
    } catch (error) {
      return {
        result: 'warning',
        detail: `${shareDir} cannot be read: ${reasonOf(error)}`,
        hint: 'only /cindex and /csearch need it: make it, or name another in SHOAL_SHARE_DIR',
      };
    }
  }

  #sample(peers: readonly LivePeer[]): readonly LivePeer[] {
    const left = [...peers];
    const sample: LivePeer[] = [];
    while (sample.length < SAMPLED_PEERS && left.length > 0) {
      sample.push(...left.splice(Math.floor(this.#deps.random() * left.length), 1));
    }
    return sample;
  }
}

/** Failures that follow from the index's are told as skipped. What went well without it stays. */
function withoutRepeats(answers: readonly Answer[]): readonly Finding[] {
  const isIndexAway = answers.some(({ finding }) => finding.name === 'index' && finding.result === 'failed');
  return answers.map(({ finding, needs }) =>
    isIndexAway && needs === 'index' && finding.result === 'failed'
      ? {
          name: finding.name,
          result: 'warning',
          detail: 'skipped: the index does not answer',
          hint: 'see what is said of the index, and ask again when it answers',
        }
      : finding,
  );
}

function clockFinding(skewMs: number): Omit<Finding, 'name'> {
  const seconds = (Math.abs(skewMs) / 1000).toFixed(1);
  if (Math.abs(skewMs) < SKEW_WARNING_MS) return { result: 'ok', detail: 'agrees with that of the index' };
  return {
    result: Math.abs(skewMs) < SKEW_FAILED_MS ? 'warning' : 'failed',
    detail: `${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} that of the index`,
    hint: 'tickets may seem expired: see whether both machines keep time by NTP',
  };
}

function describe(peers: readonly Peer[]): string {
  const shown = peers.slice(0, 3).map(({ name, version }) => `${name} ${version}`);
  const more = peers.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error && cause.message !== '') return cause.message;
  return toShoalError(error).message;
}
