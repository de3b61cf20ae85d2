import fc from 'fast-check';
import type { PodState } from './endpoint-slices.js';
import { PodVerdicts } from './pod-verdicts.js';

interface Row {
  readonly name: string;
  readonly incarnation: string;
  readonly leaseUntil: number;
}

/** A swarm of one peer, `a`: what its pod is, and what the store says of it. */
class OnePeer {
  readonly verdicts = new PodVerdicts();
  row: Row | undefined;

  pod(state: PodState | 'absent'): this {
    this.verdicts.update(new Map(state === 'absent' ? [] : [['a', state]]));
    return this;
  }

  /** The rows are read, and what waits for that is noted. */
  read(): this {
    this.verdicts.note(this.verdicts.takePending(), this.row === undefined ? [] : [this.row]);
    return this;
  }

  joins(incarnation: string): this {
    this.row = { name: 'a', incarnation, leaseUntil: (this.row?.leaseUntil ?? 0) + 10 };
    return this;
  }

  beats(): this {
    return this.joins(this.row?.incarnation ?? 'X');
  }

  get verdict() {
    if (this.row === undefined) throw new Error('it has not joined');
    return this.verdicts.of(this.row);
  }
}

const served = () => new OnePeer().joins('X').pod('serving').read();

describe('a peer', () => {
  test('is gone when its pod is, also if it speaks once more while it dies', () => {
    const peer = served().pod('absent').read();
    expect(peer.verdict).toBe('gone');
    expect(peer.beats().verdict).toBe('gone');
  });

  test('is judged only once the store was read after the event', () => {
    const peer = served().pod('absent');
    expect(peer.verdict).toBeUndefined();
    expect(peer.read().verdict).toBe('gone');
  });

  test('drains while its pod terminates, and is gone after that', () => {
    const peer = served().pod('terminating').read();
    expect(peer.beats().verdict).toBe('draining');
    expect(peer.pod('absent').read().verdict).toBe('gone');
  });

  test('drains also where a terminating pod is the first that is heard of it', () => {
    expect(new OnePeer().joins('X').pod('terminating').read().verdict).toBe('draining');
  });

  test('is back with its new process, before the watch tells of the new pod and after', () => {
    const peer = served().pod('absent').read().joins('Y');
    expect(peer.verdict).toBeUndefined();
    expect(peer.pod('not_serving').read().verdict).toBeUndefined();
    expect(peer.pod('serving').read().verdict).toBeUndefined();
  });

  test('stays gone while its new pod starts and the new process has not joined', () => {
    expect(served().pod('absent').read().pod('not_serving').read().verdict).toBe('gone');
  });

  test('is not gone for long when the end of the old pod is told after the new process joined', () => {
    const late = served().joins('Y').pod('absent').read();
    expect(late.verdict).toBe('gone');
    expect(late.pod('not_serving').read().beats().verdict).toBeUndefined();
    expect(served().joins('Y').pod('absent').read().pod('serving').read().verdict).toBeUndefined();
  });

  test('whose container died is gone until that process or the next one speaks', () => {
    const peer = served().pod('not_serving').read();
    expect(peer.verdict).toBe('gone');
    expect(peer.beats().verdict).toBeUndefined();
    expect(served().pod('not_serving').read().joins('Y').verdict).toBeUndefined();
  });

  test('that starts is live before its first probe', () => {
    expect(new OnePeer().pod('not_serving').read().joins('X').read().verdict).toBeUndefined();
  });

  test('goes with its pod though another process of that pod went before', () => {
    const peer = served().pod('not_serving').read().joins('Y').pod('absent').read();
    expect(peer.verdict).toBe('gone');
  });

  test('that no pod was ever seen of is left to its lease', () => {
    expect(new OnePeer().joins('X').pod('absent').read().pod('absent').read().verdict).toBeUndefined();
  });

  test('that speaks after the watch was lost is live, and one that does not stays gone', () => {
    const peer = served().pod('absent').read();
    peer.verdicts.lose();
    expect(peer.verdict).toBe('gone');
    expect(peer.beats().verdict).toBeUndefined();
    peer.verdicts.resume();
    expect(peer.verdict).toBe('gone');
  });

  test('is looked up again when it could not be', () => {
    const peer = served().pod('absent');
    peer.verdicts.putBack(peer.verdicts.takePending());
    expect(peer.read().verdict).toBe('gone');
    const back = served().pod('absent');
    const names = back.verdicts.takePending();
    back.pod('serving').verdicts.putBack(names);
    expect(back.pod('not_serving').verdicts.takePending()).toEqual(new Set(['a']));
  });

  test('that serves again while it is looked up is not noted', () => {
    const peer = served().pod('absent');
    const names = peer.verdicts.takePending();
    peer.pod('serving').verdicts.note(names, [peer.row as Row]);
    expect(peer.verdict).toBeUndefined();
  });
});

test('the version changes when a verdict does', () => {
  const peer = served();
  const seen = new Set([peer.verdicts.version]);
  const steps = [
    () => peer.pod('absent'),
    () => peer.read(),
    () => peer.verdicts.lose(),
    () => peer.verdicts.resume(),
    () => peer.pod('serving'),
  ];
  for (const step of steps) {
    step();
    expect(seen.has(peer.verdicts.version)).toBe(false);
    seen.add(peer.verdicts.version);
  }
});

test('whatever happens in whatever order, nobody is wronged', () => {
  const names = ['a', 'b'];
  const name = fc.constantFrom(...names);
  const step = fc.oneof(
    fc.record({
      do: fc.constant('pod' as const),
      name,
      state: fc.constantFrom('serving', 'not_serving', 'terminating', 'absent'),
    }),
    fc.record({ do: fc.constantFrom('join' as const, 'beat' as const), name }),
    fc.record({ do: fc.constantFrom('lose' as const, 'read' as const, 'failed read' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const verdicts = new PodVerdicts();
      const pods = new Map<string, PodState>();
      const rows = new Map<string, Row>();
      const seen = new Set<string>();
      /** Processes that were there when the rows were last read. */
      let lastRead = new Map<string, Row>();
      let clock = 0;
      let isLost = true;
      for (const event of steps) {
        clock += 1;
        if (event.do === 'pod') {
          if (event.state === 'absent') pods.delete(event.name);
          else pods.set(event.name, event.state as PodState);
          if (event.state !== 'absent') seen.add(event.name);
          verdicts.update(new Map(pods));
          isLost = false;
        } else if (event.do === 'join' || event.do === 'beat') {
          const before = rows.get(event.name)?.incarnation ?? '0';
          const incarnation = event.do === 'join' ? String(clock) : before;
          rows.set(event.name, { name: event.name, incarnation, leaseUntil: clock });
        } else if (event.do === 'lose') {
          verdicts.lose();
          isLost = true;
        } else if (event.do === 'read') {
          verdicts.note(verdicts.takePending(), [...rows.values()]);
          lastRead = new Map(rows);
        } else verdicts.putBack(verdicts.takePending());

        for (const row of rows.values()) {
          const verdict = verdicts.of(row);
          const atRead = lastRead.get(row.name);
          const pod = pods.get(row.name);
          const hasSpokenSinceRead = atRead?.leaseUntil !== row.leaseUntil;
          // One whose pod serves, one never seen, one that joined since, one that spoke while the watch was lost.
          if (pod === 'serving') expect(verdict).toBeUndefined();
          if (!seen.has(row.name)) expect(verdict).toBeUndefined();
          if (atRead?.incarnation !== row.incarnation) expect(verdict).toBeUndefined();
          if ((isLost || pod === 'not_serving') && hasSpokenSinceRead) expect(verdict).toBeUndefined();
          if (verdict === 'draining') expect(pod).toBe('terminating');
        }
      }
      // And whoever stopped serving and says nothing more is found gone.
      verdicts.update(new Map(names.map((each) => [each, 'serving'])));
      verdicts.update(new Map());
      verdicts.note(verdicts.takePending(), [...rows.values()]);
      for (const row of rows.values()) expect(verdicts.of(row)).toBe('gone');
    }),
    { numRuns: 500 },
  );
});
