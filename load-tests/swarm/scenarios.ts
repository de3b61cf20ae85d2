import type { SystemName } from './crowd.js';

/** What goes wrong, or comes later, while a crowd gets its file. */
export type Incident =
  /** The first holder's machine fails when so many copies have left it, or at least one and no more come. */
  | { readonly kind: 'first-holder-dies'; readonly copies: number }
  /** So large a part of the others is killed and started again when they have so much of the file. */
  | { readonly kind: 'restart'; readonly part: number; readonly share: number }
  /** The last node begins when the others have so much of the file. */
  | { readonly kind: 'late-comer'; readonly share: number };

/** A crowd that wants one file. */
export interface Scenario {
  readonly id: string;
  readonly title: string;
  /** Of all files together. */
  readonly bytes: number;
  /** Files in a folder that is wanted as a whole; undefined when it is one file. */
  readonly files?: number;
  /** Rates of links in Mbit/s, up and down alike; the first holder's comes first. */
  readonly mbits: readonly number[];
  readonly incident?: Incident;
  /** What is compared in it. */
  readonly systems: readonly SystemName[];
}

const MIB = 2 ** 20;
const ALL: readonly SystemName[] = ['shoal', 'libtorrent', 'aria2', 'curl'];
/** Programs that bring one file leave it to others to bring a thousand. */
const SETS: readonly SystemName[] = ['shoal', 'curl', 'rsync'];
const SWARMS: readonly SystemName[] = ['shoal', 'libtorrent', 'aria2'];

/** So many nodes that want the file, and a first holder, with the same links. */
export function crowdScenario(peers: number, mbit: number, bytes: number): Scenario {
  return {
    id: `crowd-${peers}`,
    title: `${bytes / MIB} MiB to ${peers} peers at ${mbit} Mbit/s`,
    bytes,
    mbits: Array.from({ length: peers + 1 }, () => mbit),
    systems: ALL,
  };
}

/** So many files of one size in a folder. */
export function setScenario(
  id: string,
  { files, fileBytes, peers, mbit }: { files: number; fileBytes: number; peers: number; mbit: number },
): Scenario {
  return {
    id,
    title: `${files.toLocaleString('en')} files of ${fileBytes.toLocaleString('en')} bytes to ${peers} peers at ${mbit} Mbit/s`,
    bytes: files * fileBytes,
    files,
    mbits: Array.from({ length: peers + 1 }, () => mbit),
    systems: SETS,
  };
}

function variant(of: Scenario, changes: Partial<Scenario> & { readonly id: string; readonly what: string }): Scenario {
  const { what, ...others } = changes;
  return { ...of, ...others, title: `${of.title}, ${what}` };
}

const FOUR = crowdScenario(4, 100, 64 * MIB);
const EIGHT = crowdScenario(8, 50, 64 * MIB);
const SEVEN = crowdScenario(7, 50, 64 * MIB);
const SIXTEEN = crowdScenario(16, 25, 64 * MIB);
const LARGE = { ...crowdScenario(4, 100, 256 * MIB), id: 'large', systems: SWARMS };

/** Every scenario that has a name. */
export const SCENARIOS: readonly Scenario[] = [
  FOUR,
  EIGHT,
  SIXTEEN,
  LARGE,
  variant(EIGHT, {
    id: 'first-holder-dies',
    what: 'the first holder dies',
    incident: { kind: 'first-holder-dies', copies: 1.2 },
    systems: SWARMS,
  }),
  variant(EIGHT, {
    id: 'restart',
    what: 'a quarter of them killed and started again halfway',
    incident: { kind: 'restart', part: 1 / 4, share: 1 / 2 },
    systems: SWARMS,
  }),
  variant(EIGHT, {
    id: 'late-comer',
    what: 'the last of them coming when the others have half',
    incident: { kind: 'late-comer', share: 1 / 2 },
    systems: SWARMS,
  }),
  { ...SEVEN, id: 'no-slow-peer', systems: SWARMS },
  variant(SEVEN, {
    id: 'slow-peer',
    what: 'and to one at a tenth of that, which is not counted',
    mbits: [...SEVEN.mbits, 5],
    systems: SWARMS,
  }),
  setScenario('many-5mb', { files: 100, fileBytes: 5_000_000, peers: 8, mbit: 150 }),
  setScenario('many-10kb', { files: 10_000, fileBytes: 10_000, peers: 4, mbit: 50 }),
];

/** What runs when nobody says otherwise: well below five minutes. */
export const DEFAULT_SCENARIOS: readonly string[] = [FOUR.id];
