interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** What happens when, in simulated time: a binary heap. Of what happens at one time, what was planned first comes first. */
export class EventQueue {
  readonly #heap: Event[] = [];
  #order = 0;
  #nowMs = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Plans something; never before now. */
  at(atMs: number, run: () => void): void {
    this.#order += 1;
    const event = { atMs: Math.max(atMs, this.#nowMs), order: this.#order, run };
    const heap = this.#heap;
    let place = heap.length;
    heap.push(event);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = heap[parent] as Event;
      if (isBefore(above, event)) break;
      heap[place] = above;
      place = parent;
    }
    heap[place] = event;
  }

  /** Lets the next thing happen. Returns whether there was one. */
  step(): boolean {
    const heap = this.#heap;
    const next = heap[0];
    const last = heap.pop();
    if (next === undefined || last === undefined) return false;
    if (heap.length > 0) this.#sinkFromTop(last);
    this.#nowMs = next.atMs;
    next.run();
    return true;
  }

  #sinkFromTop(event: Event): void {
    const heap = this.#heap;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, left)) child += 1;
      const least = heap[child] as Event;
      if (isBefore(event, least)) break;
      heap[place] = least;
      place = child;
    }
    heap[place] = event;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
