/*
 * What can be a file name and what a reference. Apart from the schemas, so that a command can look before it loads them.
 */

/** Bytes of UTF-8 in a file name, at the most. */
export const NAME_BYTES = 1024;

/** The form of a user name. */
export const USERNAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

/** The form of a file id. */
export const FILE_ID = /^[0-9a-f]{64}$/;

/** Whether a reference is a file id: 64 lower-case hex digits. */
export function isFileId(ref: string): boolean {
  return FILE_ID.test(ref);
}

/**
 * What is wrong with a file name, in words that can follow "name ...", or undefined when nothing is: 1 to 1,024 bytes
 * of UTF-8, no control characters, no leading slash, no empty, `.` or `..` segment, and not of the form of an id.
 */
export function nameProblem(name: string): string | undefined {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0) return 'is empty';
  if (bytes > NAME_BYTES) return `has ${bytes} bytes; at most ${NAME_BYTES} are allowed`;
  if (!name.isWellFormed()) return 'is not well-formed Unicode';
  if (/\p{Cc}/u.test(name)) return 'contains a control character';
  if (name.startsWith('/')) return 'begins with a slash';
  const segments = name.split('/');
  if (segments.includes('')) return 'has an empty segment (two slashes in a row, or one at the end)';
  if (segments.includes('.') || segments.includes('..')) return "has a '.' or '..' segment";
  if (isFileId(name)) return 'looks like a file id';
  return undefined;
}

/** Why something can be neither an id, nor a name, nor OWNER/NAME, in words that can follow "reference ...". */
export function refProblem(ref: string): string | undefined {
  if (isFileId(ref)) return undefined;
  const slash = ref.indexOf('/');
  // OWNER/NAME may be longer than a name.
  const isLong = Buffer.byteLength(ref) > NAME_BYTES && USERNAME.test(ref.slice(0, Math.max(0, slash)));
  return nameProblem(isLong ? ref.slice(slash + 1) : ref);
}
