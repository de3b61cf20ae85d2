// What `helm test` runs in a pod: publishes a file on one peer, fetches it on another, compares, and removes it.

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

const { INDEX_URL, FROM_URL, TO_URL, JOIN_SECRET_FILE } = process.env;
const BYTES = 5_000_000;
const WAIT_MS = 60_000;

const giveUpAt = Date.now() + WAIT_MS;
const json = { 'content-type': 'application/json' };

// One account for all tests of a release, known by its join secret alone: there is no way to remove an account.
const digest = (text) =>
  createHash('sha256')
    .update(`${text} ${readFileSync(JOIN_SECRET_FILE, 'utf8')}`)
    .digest('hex');
const account = JSON.stringify({
  username: `helm-test-${digest('name').slice(0, 8)}`,
  password: digest('password'),
});

/** Asks until somebody answers that is ready, or the time is up. */
async function call(what, url, options = {}) {
  for (;;) {
    const answer = await fetch(url, options).catch((error) => error);
    if (answer.ok || answer.status === options.alsoFine) return answer;
    const isFinal = answer.status !== undefined && answer.status !== 503;
    if (isFinal || Date.now() > giveUpAt) {
      const why = answer.status ? `${answer.status} ${await answer.text()}` : (answer.cause ?? answer);
      console.error(`FAILED: ${what}: ${url}: ${why}`);
      process.exit(1);
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

const created = await call('making an account', `${INDEX_URL}/api/v1/accounts`, {
  method: 'POST',
  headers: json,
  body: account,
  alsoFine: 409,
});
const session = created.ok
  ? created
  : await call('logging in', `${INDEX_URL}/api/v1/sessions`, { method: 'POST', headers: json, body: account });
const headers = { authorization: `Bearer ${(await session.json()).token}` };

const sent = randomBytes(BYTES);
const name = `helm-test/${randomBytes(4).toString('hex')}`;
const published = await call('publishing', `${FROM_URL}/files/${name}`, { method: 'PUT', headers, body: sent });
const { id } = await published.json();
console.log(`published ${name}, ${BYTES} bytes, at ${FROM_URL}: ${id}`);

const fetched = await call('fetching', `${TO_URL}/files/${id}`, { headers });
const received = Buffer.from(await fetched.arrayBuffer());
await call('removing', `${INDEX_URL}/api/v1/files/${id}`, { method: 'DELETE', headers });
if (!received.equals(sent)) {
  console.error(`FAILED: ${received.length} bytes came from ${TO_URL}, and they are not those that were published`);
  process.exit(1);
}
console.log(`fetched it at ${TO_URL}: all bytes are the same`);
