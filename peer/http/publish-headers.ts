import type { IncomingHttpHeaders } from 'node:http';
import { ShoalError } from '../../common/errors.js';
import { LIMITS, tagsSchema, usernameSchema } from '../../index-server/api/values.js';

/** What the headers of a PUT say about the file. */
export interface PublishHeaders {
  readonly tags: Readonly<Record<string, string>>;
  readonly visibility: 'public' | 'private';
  readonly readers: readonly string[];
  /** SHA-256 that the body must have, lower-case hex. */
  readonly sha256: string | undefined;
  /** Content-Length; undefined for a body of unknown length. */
  readonly size: number | undefined;
}

/**
 * Reads `Shoal-Tag: KEY=VALUE` and `Shoal-Share: USER` (repeated or separated by commas; values of tags
 * percent-encoded where they hold commas, per cent signs or characters beyond ASCII), `Shoal-Visibility`,
 * Content-Digest and Repr-Digest (RFC 9530) and Content-Length. Sharing alone makes a file private. Throws `invalid`
 * naming the header.
 */
export function readPublishHeaders(headers: IncomingHttpHeaders): PublishHeaders {
  if (headers['content-range'] !== undefined) {
    throw new ShoalError('invalid', 'a PUT with Content-Range is not supported: send the whole file');
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new ShoalError('invalid', `the Content-Encoding '${encoding}' is not supported: send the bytes as they are`, {
      details: { status: 415 },
    });
  }
  const readers = readersOf(headers['shoal-share']);
  return {
    tags: tagsOf(headers['shoal-tag']),
    visibility: visibilityOf(headers['shoal-visibility'], readers),
    readers,
    sha256: digestOf(headers),
    size: headers['content-length'] === undefined ? undefined : Number(headers['content-length']),
  };
}

function items(header: string | string[] | undefined): string[] {
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function tagsOf(header: string | string[] | undefined): Record<string, string> {
  const tags: [string, string][] = items(header).map((item) => {
    const equals = item.indexOf('=');
    if (equals < 1) throw new ShoalError('invalid', `Shoal-Tag '${item}' is not KEY=VALUE`);
    return [decode(item.slice(0, equals), item), decode(item.slice(equals + 1), item)];
  });
  const parsed = tagsSchema.safeParse(Object.fromEntries(tags));
  const wrong = parsed.success ? undefined : parsed.error.issues[0];
  // The schema passes over `__proto__` instead of refusing it.
  const key = wrong?.path[0] ?? tags.find(([name]) => parsed.success && !Object.hasOwn(parsed.data, name))?.[0];
  if (parsed.success && key === undefined) return parsed.data;
  const name = key === undefined ? 'Shoal-Tag' : `Shoal-Tag '${String(key)}'`;
  throw new ShoalError('invalid', `${name}: ${wrong?.message ?? 'is no name for a tag'}`);
}

function decode(text: string, item: string): string {
  // Other bytes arrive as if they were Latin-1; what they were meant to be can't be told.
  if (/[^\x20-\x7e]/.test(text)) {
    throw new ShoalError('invalid', `Shoal-Tag '${item}': percent-encode what is not ASCII, as UTF-8`);
  }
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new ShoalError('invalid', `Shoal-Tag '${item}' is not valid percent-encoding (write % as %25)`, { cause });
  }
}

function readersOf(header: string | string[] | undefined): string[] {
  const readers = [...new Set(items(header))];
  const wrong = readers.find((reader) => !usernameSchema.safeParse(reader).success);
  if (wrong !== undefined) throw new ShoalError('invalid', `Shoal-Share '${wrong}' is not a user name`);
  if (readers.length > LIMITS.readers) {
    throw new ShoalError('invalid', `Shoal-Share names ${readers.length} users; at most ${LIMITS.readers} are allowed`);
  }
  return readers;
}

function visibilityOf(header: string | string[] | undefined, readers: readonly string[]): 'public' | 'private' {
  if (header === undefined) return readers.length === 0 ? 'public' : 'private';
  if (header !== 'public' && header !== 'private') {
    throw new ShoalError('invalid', `Shoal-Visibility '${String(header)}' is neither public nor private`);
  }
  if (header === 'public' && readers.length > 0) {
    throw new ShoalError('invalid', 'Shoal-Share is for private files, and Shoal-Visibility says public');
  }
  return header;
}

function digestOf(headers: IncomingHttpHeaders): string | undefined {
  const given = ['content-digest', 'repr-digest'].flatMap((name) => {
    const value = headers[name];
    return items(value)
      .filter((item) => /^sha-256=/i.test(item))
      .map((item) => sha256Of(item, name));
  });
  const [first] = given;
  if (given.some((digest) => digest !== first)) {
    throw new ShoalError('invalid', 'Content-Digest and Repr-Digest contradict each other');
  }
  return first;
}

function sha256Of(item: string, header: string): string {
  const base64 = /^sha-256=:([A-Za-z0-9+/]{43}=):$/i.exec(item)?.[1];
  if (base64 === undefined) throw new ShoalError('invalid', `${header} '${item}' is not of the form sha-256=:BASE64:`);
  return Buffer.from(base64, 'base64').toString('hex');
}
