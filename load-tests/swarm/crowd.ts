import type { Lab } from './lab.js';

/** What node 0 has and the others want: a file, or a folder of files. */
export interface CrowdFile {
  readonly path: string;
  /** Of all files together. */
  readonly bytes: number;
  /** Paths of the files in the folder; undefined for a file. */
  readonly files?: readonly string[];
}

/** One way to bring a file to a crowd, for as long as a lab exists. */
export interface CrowdSession {
  /** Gets everything ready for a file that nobody has seen before; nothing moves yet. */
  ready(file: CrowdFile): Promise<Crowd>;
  close(): Promise<void>;
}

/** A file on its way to a crowd. */
export interface Crowd {
  /** Has a node get the file. Resolves when it is there, whole and checked as well as this way does. */
  fetch(node: number): Promise<void>;
  /** Ends a node's program at once, as when a machine fails. What it was fetching never resolves. */
  kill(node: number): Promise<void>;
  /** Starts a node's program that was killed again, on the data that it left, and fetches what is missing. */
  restart(node: number): Promise<void>;
  /** How long it took to publish what is wanted, where that is a step of its own. */
  readonly publishSeconds?: number;
  /** Programs that run now. */
  readonly pids: readonly number[];
  /** Bytes that came to nodes that had them already; undefined where nothing tells. */
  duplicateBytes(): Promise<number | undefined>;
  /** Resolves to where a node that fetched the file has put it, to be compared with the source. */
  target(node: number): Promise<string>;
  /** Ends what is left of it and removes what it has written. */
  end(): Promise<void>;
}

/** One of the things that are compared. */
export interface CrowdSystem {
  readonly name: SystemName;
  readonly title: string;
  open(lab: Lab, folder: string): Promise<CrowdSession>;
}

/** What can be compared. */
export const SYSTEM_NAMES = ['shoal', 'curl', 'rsync', 'aria2', 'libtorrent'] as const;
/** One of {@link SYSTEM_NAMES}. */
export type SystemName = (typeof SYSTEM_NAMES)[number];
