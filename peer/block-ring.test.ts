import { createRing, RingFiller, type RingMemory, RingTaker } from './block-ring.js';

let memory: RingMemory;
let filler: RingFiller;
let taker: RingTaker;

beforeEach(() => {
  memory = createRing();
  openEnds();
});

function openEnds(): void {
  filler = new RingFiller(memory);
  taker = new RingTaker(memory);
}

/** Puts a block of one byte. */
function put(tag: number, byte: number): Promise<void> {
  return filler.put(tag, (block) => {
    block[0] = byte;
    return 1;
  });
}

function take(): { readonly tag: number; readonly bytes: number[] } {
  const { tag, bytes } = taker.next();
  const taken = { tag, bytes: [...bytes] };
  taker.giveBack();
  return taken;
}

/** Whether a promise has settled by the time all work that is there already is done. */
async function hasSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => {
    settled = true;
  });
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
  return settled;
}

async function fillUp(): Promise<void> {
  for (let i = 0; i < 4; i += 1) await put(7, i);
}

describe('a ring of blocks', () => {
  it('hands over blocks in order, with their tags and lengths', async () => {
    await put(7, 1);
    await filler.put(8, (block) => block.write('four'));
    await filler.put(-1, () => 0);
    expect([take(), take(), take()]).toEqual([
      { tag: 7, bytes: [1] },
      { tag: 8, bytes: [...Buffer.from('four')] },
      { tag: -1, bytes: [] },
    ]);
  });

  it('has who fills wait when all are in use, until one is given back', async () => {
    await fillUp();
    const fifth = put(7, 4);
    expect(await hasSettled(fifth)).toBe(false);
    taker.next();
    expect(await hasSettled(fifth)).toBe(false);
    taker.giveBack();
    await fifth;
    expect([take(), take(), take(), take()].map(({ bytes }) => bytes)).toEqual([[1], [2], [3], [4]]);
  });

  it('lets several wait, and gives each a block of its own', async () => {
    await fillUp();
    const waiting = [put(1, 10), put(2, 20)];
    take();
    await Promise.race(waiting);
    take();
    await Promise.all(waiting);
    expect([take(), take(), take(), take()].map(({ tag }) => tag).sort()).toEqual([1, 2, 7, 7]);
  });

  it('shows what was filled to who put it, when the other end has it already', async () => {
    let seen: { readonly here: number[]; readonly there: number[] } | undefined;
    await filler.put(
      1,
      (block) => block.write('ab'),
      (bytes) => {
        seen = { here: [...bytes], there: take().bytes };
      },
    );
    expect(seen).toEqual({ here: [97, 98], there: [97, 98] });
  });

  it('sends nothing when filling fails', async () => {
    const failure = filler.put(1, () => {
      throw new Error('the disk is gone');
    });
    await expect(failure).rejects.toThrow('the disk is gone');
    await put(2, 2);
    expect(take()).toEqual({ tag: 2, bytes: [2] });
  });

  it('goes on when its counts have run through all numbers', async () => {
    memory.state.fill(2 ** 31 - 2, 0, 2);
    openEnds();
    await fillUp();
    const fifth = put(7, 4);
    expect(await hasSettled(fifth)).toBe(false);
    take();
    await fifth;
    expect([take(), take(), take(), take()].map(({ bytes }) => bytes)).toEqual([[1], [2], [3], [4]]);
  });
});
