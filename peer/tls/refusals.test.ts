import { Writable } from 'node:stream';
import pino from 'pino';
import { type RefusalReason, Refusals } from './refusals.js';

test('all refusals are counted, and one of a kind a minute is told', () => {
  const lines: { reason: string; from: string }[] = [];
  const log = pino(
    new Writable({
      write(line: Buffer, _encoding, done) {
        lines.push(JSON.parse(line.toString()));
        done();
      },
    }),
  );
  const counted: RefusalReason[] = [];
  let nowMs = 5;
  const refusals = new Refusals({ log, count: (reason) => counted.push(reason), now: () => nowMs });
  const note = (reason: RefusalReason, from: string) => refusals.note(reason, { from, detail: '' });
  note('plaintext', 'first');
  note('plaintext', 'second');
  note('certificate', 'third');
  nowMs += 59_999;
  note('plaintext', 'fourth');
  nowMs += 1;
  note('plaintext', 'fifth');
  expect(counted).toEqual(['plaintext', 'plaintext', 'certificate', 'plaintext', 'plaintext']);
  expect(lines.map(({ reason, from }) => [reason, from])).toEqual([
    ['plaintext', 'first'],
    ['certificate', 'third'],
    ['plaintext', 'fifth'],
  ]);
});
