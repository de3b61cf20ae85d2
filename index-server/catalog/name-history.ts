import { ShoalError } from '../../common/errors.js';
import type { FilePatch, FileRow, TombstoneRow } from '../catalog.js';
import { revisionOf } from '../record-revision.js';

/*
 * What happens to one name of one owner: pure, the same for every store. A store reads the history, lets one of these
 * functions change it, and writes it back whole, in one transaction or one document; so no crash and no other writer can
 * leave half a change.
 */

/**
 * Versions that are gone: this `version`, and unless `only`, all below it. A version published later than `removedAt` is
 * another one that happens to have the same number, because the tombstone had been swept before.
 */
export interface GoneMark {
  readonly version: number;
  readonly only: boolean;
  readonly removedAt: number;
  /** The signed tombstone; null for versions that a newer one displaced. */
  readonly record: string | null;
}

/** All that is known of a name. Versions ascend; the last one is current. */
export interface NameHistory {
  readonly versions: readonly FileRow[];
  readonly gone: readonly GoneMark[];
}

/** A changed history, and what went out of it. */
export interface HistoryChange {
  readonly history: NameHistory;
  readonly removed: readonly FileRow[];
}

/** A name never heard of. */
export const NO_HISTORY: NameHistory = { versions: [], gone: [] };

/** Marks of single versions that are kept before they are put together. */
const SINGLE_MARKS_MAX = 50;

/** The current version. */
export function currentOf({ versions }: NameHistory): FileRow | undefined {
  return versions.at(-1);
}

/** The number that content `id` gets when it is published now: that of the current version if it is the same. */
export function numberFor({ versions, gone }: NameHistory, id: string): number {
  const current = versions.at(-1);
  if (current?.id === id) return current.version;
  return Math.max(0, ...versions.map(({ version }) => version), ...gone.map(({ version }) => version)) + 1;
}

/** When versions last went, as far as it is remembered; else 0. */
export function lastRemoval({ gone }: NameHistory): number {
  return Math.max(0, ...gone.map(({ removedAt }) => removedAt));
}

/** Makes `row`, whose version is that of {@link numberFor}, current, and lets go all but the `keep` newest. */
export function publish({ versions, gone }: NameHistory, row: FileRow, keep: number): HistoryChange {
  const all = [...versions.filter(({ version }) => version !== row.version), row];
  const kept = all.slice(-keep);
  const removed = all.slice(0, -keep);
  const last = removed.at(-1);
  if (last === undefined) return { history: { versions: kept, gone }, removed };
  const mark = { version: last.version, only: false, removedAt: row.publishedAt, record: null };
  return { history: { versions: kept, gone: addMark(gone, mark, removed) }, removed };
}

/** One version. Throws `not_found` when it is not there. */
export function versionOf({ versions }: NameHistory, key: Pick<FileRow, 'name' | 'version'>): FileRow {
  const found = versions.find(({ version }) => version === key.version);
  if (found === undefined) throw new ShoalError('not_found', `version ${key.version} of '${key.name}' is gone`);
  return found;
}

/** A version with a change made. */
export function patched(row: FileRow, { tags, visibility, readers, replicas, record }: FilePatch): FileRow {
  return { ...row, tags, visibility, readers, replicas, record };
}

/** Puts a changed version in the place of the one with its number. */
export function replaceVersion(history: NameHistory, row: FileRow): NameHistory {
  return { ...history, versions: history.versions.map((old) => (old.version === row.version ? row : old)) };
}

/** Removes all versions, those above the tombstone's too: they came while it was being made. */
export function removeAll(history: NameHistory, tombstone: TombstoneRow): HistoryChange {
  const { versions, gone } = history;
  const last = versions.at(-1);
  if (last === undefined) return { history, removed: [] };
  const version = Math.max(tombstone.version, last.version);
  const mark = { ...markOf(tombstone), version, only: false };
  return { history: { versions: [], gone: addMark(gone, mark, versions) }, removed: versions };
}

/** Removes one version. Nothing happens when it is not there. */
export function removeOne(history: NameHistory, tombstone: TombstoneRow): HistoryChange {
  const removed = history.versions.filter(({ version }) => version === tombstone.version);
  if (removed.length === 0) return { history, removed };
  const versions = history.versions.filter(({ version }) => version !== tombstone.version);
  // A name that is put and removed by id all day must not grow for ever.
  const only = versions.length > 0 || history.gone.length < SINGLE_MARKS_MAX;
  return { history: { versions, gone: addMark(history.gone, { ...markOf(tombstone), only }, removed) }, removed };
}

/** Takes a version back, or a newer record of one that is there; undefined when that is known, or gone. */
export function restore(history: NameHistory, row: FileRow): NameHistory | undefined {
  const known = history.versions.find(({ version }) => version === row.version);
  if (known !== undefined) {
    const isNewer = known.id === row.id && revisionOf(row.record) > revisionOf(known.record);
    return isNewer ? replaceVersion(history, row) : undefined;
  }
  if (history.gone.some((mark) => covers(mark, row))) return undefined;
  return { ...history, versions: [...history.versions, row].sort((a, b) => a.version - b.version) };
}

/** Takes a tombstone back, with what it says is gone; undefined when that was known. */
export function restoreTombstone({ versions, gone }: NameHistory, tombstone: TombstoneRow): HistoryChange | undefined {
  const mark = markOf(tombstone);
  if (gone.some((known) => includes(known, mark))) return undefined;
  const removed = versions.filter((row) => covers(mark, row));
  const kept = versions.filter((row) => !covers(mark, row));
  return { history: { versions: kept, gone: addMark(gone, mark, removed) }, removed };
}

/** The signed tombstones that say that a version with this number is gone, newest first. */
export function tombstonesOver({ gone }: NameHistory, version: number): readonly string[] {
  const over = gone.filter((mark) => (mark.only ? mark.version === version : mark.version >= version));
  return [...over].sort((a, b) => b.removedAt - a.removedAt).flatMap(({ record }) => record ?? []);
}

/** Throws `internal` unless `row` is the version of the name and content it was asked to be. */
export function checkMade(row: FileRow, asked: Pick<FileRow, 'ownerId' | 'name' | 'id' | 'version'>): FileRow {
  const { ownerId, name, id, version } = asked;
  if (row.ownerId === ownerId && row.name === name && row.id === id && row.version === version) return row;
  throw new ShoalError(
    'internal',
    `made version ${row.version} of '${row.name}' where version ${version} of '${name}' was asked for`,
  );
}

function markOf({ version, only = false, removedAt, record }: TombstoneRow): GoneMark {
  return { version, only, removedAt, record };
}

function covers(mark: GoneMark, row: FileRow): boolean {
  const isNamed = mark.only ? row.version === mark.version : row.version <= mark.version;
  return isNamed && row.publishedAt <= mark.removedAt;
}

/** Whether all that `other` says follows from `mark`. */
function includes(mark: GoneMark, other: GoneMark): boolean {
  if (mark.removedAt < other.removedAt) return false;
  return mark.only ? other.only && mark.version === other.version : other.version <= mark.version;
}

/** Adds a mark, raised to cover `removed` even if clocks disagree, and drops those that follow from it. */
function addMark(gone: readonly GoneMark[], mark: GoneMark, removed: readonly FileRow[]): readonly GoneMark[] {
  const removedAt = Math.max(mark.removedAt, ...removed.map(({ publishedAt }) => publishedAt));
  const raised = { ...mark, removedAt };
  return [...gone.filter((known) => !includes(raised, known)), raised];
}
