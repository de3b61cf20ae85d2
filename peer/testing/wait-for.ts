/**
 * Waits until `look` gives something other than undefined or false, looking again every few milliseconds. Rejects when
 * `deadlineMs` is over, with what the last look threw if it threw.
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs = 10_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    let failure: unknown;
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`, { cause: failure });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
