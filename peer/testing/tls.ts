import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../common/log.js';
import { type Authority, writeTlsFiles } from '../../scripts/certificates.mjs';
import { TlsIdentity } from '../tls/tls-identity.js';

/** Files with certificate, key and authority in a folder of their own, and what reads them. */
export interface TestTls {
  /** The settings that name the files. */
  readonly env: Readonly<Record<'SHOAL_TLS_CERT_FILE' | 'SHOAL_TLS_KEY_FILE' | 'SHOAL_TLS_CA_FILE', string>>;
  readonly identity: TlsIdentity;
  /** Replaces the files, which nobody has looked at when it resolves. */
  replace(material: TestMaterial): Promise<void>;
  /** Removes the files. */
  remove(): Promise<void>;
}

/** What the files hold. Who is believed is who signed, unless told otherwise. */
export interface TestMaterial {
  readonly authority: Authority;
  readonly hosts?: readonly string[];
  readonly days?: number;
  readonly believes?: readonly Authority[];
}

/** Writes files and opens them; they are looked at again when `identity.reload()` is called, or after `reloadMs`. */
export async function newTls(material: TestMaterial, { reloadMs = 3_600_000 } = {}): Promise<TestTls> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-tls-'));
  const replace = ({ authority, hosts = ['127.0.0.1', 'localhost'], days = 1, believes = [authority] }: TestMaterial) =>
    writeTlsFiles(dir, {
      ...authority.issue({ hosts, days }),
      ca: believes.map(({ certificate }) => certificate).join(''),
    });
  const env = await replace(material);
  const identity = await TlsIdentity.open(
    { log: createLogger({ name: 'test', level: 'silent' }) },
    {
      files: { certFile: env.SHOAL_TLS_CERT_FILE, keyFile: env.SHOAL_TLS_KEY_FILE, caFile: env.SHOAL_TLS_CA_FILE },
      reloadMs,
    },
  );
  return {
    env,
    identity,
    replace: async (next) => void (await replace(next)),
    remove: async () => {
      identity.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
