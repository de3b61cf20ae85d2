import { core, eventually } from './testing/cluster.js';
import { Release } from './testing/release.js';
import { noContainerRestarted, story } from './testing/story.js';

/* Peers that speak mutual TLS, with the certificate that the chart makes. */

const release = new Release('e2e-tls');
const NAMESPACES = [release.namespace];
const VALUES = { 'tls.enabled': true, 'mongodb.enabled': false, 'peer.replicas': 2, 'peer.fileReplicas': 1 };

beforeAll(async () => {
  await release.install(VALUES);
  await release.waitForPeers(2);
});

story('a file goes from one peer to the other, and all is well', NAMESPACES, async () => {
  const { sha256 } = await release.putRandom(0, 'secret.bin', { mib: 20, replicas: 1 });
  expect(await release.digestAfterGet(1, 'secret.bin')).toBe(sha256);
  const { checks } = await release.json<{ checks: { name: string; result: string; detail: string }[] }>(0, 'doctor');
  expect(checks.filter(({ result }) => result !== 'ok')).toEqual([]);
  expect(checks).toContainEqual(
    expect.objectContaining({ name: 'encryption', detail: expect.stringContaining('mutual TLS') }),
  );
});

story('an upgrade keeps the certificate, and the release passes its own test', NAMESPACES, async () => {
  const certificate = async () => {
    const { data } = await core.readNamespacedSecret({ namespace: release.namespace, name: 'shoal-peer-tls' });
    return data?.['tls.crt'];
  };
  const before = await certificate();
  await release.upgrade({ ...VALUES, logLevel: 'debug' });
  await release.waitForPeers(2);
  expect(await certificate()).toBe(before);
  await release.helm('test', release.name);
});

story('who speaks no TLS is refused, and counted', NAMESPACES, async () => {
  // Without the files a command line has no TLS: it is the daemon beside it that has.
  const knock = `node -e '
    const socket = require("node:http2").connect("http://shoal-peer-1.shoal-peer:4999");
    socket.on("goaway", (code) => { console.log("goaway", code); process.exit(0); });
    socket.on("error", () => undefined);'`;
  expect(await release.script('shoal-peer-0', knock)).toContain('goaway 12');
  const read = `node -e 'fetch("http://127.0.0.1:5001/metrics").then((r) => r.text()).then((t) => console.log(t))'`;
  const metrics = await eventually('the refusal is counted', 10_000, async () => {
    const page = await release.script('shoal-peer-1', read);
    return page.includes('shoal_peer_refused_connections_total{reason="plaintext"} 1') && page;
  });
  const [, expiry] = /^shoal_peer_tls_certificate_expiration_timestamp_seconds (\S+)$/m.exec(metrics) ?? [];
  expect(Number(expiry) * 1000).toBeGreaterThan(Date.now());
});

noContainerRestarted(NAMESPACES);
