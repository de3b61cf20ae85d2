/**
 * A Content-Disposition that saves a file under the last part of its name (RFC 6266): `filename*` for what can read
 * it, and an ASCII `filename` for what cannot.
 */
export function attachment(name: string): string {
  const last = name.slice(name.lastIndexOf('/') + 1);
  const ascii = last.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  return `attachment; filename="${ascii}"; filename*=UTF-8''${extendedValue(last)}`;
}

/** RFC 8187: what encodeURIComponent leaves and the RFC does not. */
function extendedValue(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
