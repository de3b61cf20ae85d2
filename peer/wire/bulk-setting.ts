/** A setting that only peers of ours send; RFC 9113 section 6.5.2 has everybody else ignore it. Its value is a version. */
export const BULK_SETTING: readonly [id: number, value: number] = [0x5348, 1];
