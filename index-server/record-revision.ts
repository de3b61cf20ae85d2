/**
 * The revision in a signed record: of two records of one version, the one with the higher is the newer. It is read, not
 * verified; 0 where there is none, as in records of before there were revisions.
 */
export function revisionOf(record: string): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(record.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const { revision } = (claims ?? {}) as { readonly revision?: unknown };
    return typeof revision === 'number' ? revision : 0;
  } catch {
    // Whatever it is, nothing is older.
    return 0;
  }
}

/** The revision of a record that replaces `previous`: the time, or if a clock went back, one more than before. */
export function nextRevision(now: number, previous: string | undefined): number {
  return previous === undefined ? now : Math.max(now, revisionOf(previous) + 1);
}
