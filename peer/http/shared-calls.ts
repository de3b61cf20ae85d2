/** The calls of one key: one under way, and the one after it for everybody who came since. */
interface Lane<T> {
  current: Promise<T>;
  next: Promise<T> | undefined;
}

/**
 * Lets callers who ask the same question at the same time share the answer. Whoever comes while a call is under way
 * waits for the *next* one, never for an answer that was on its way before the question was put: nobody can tell that
 * answers are shared, and a crowd that wants one thing costs one call at a time.
 */
export class SharedCalls<T> {
  readonly #lanes = new Map<string, Lane<T>>();

  /** The answer of `call`, or of an equal one by another caller that begins after this moment. */
  get(key: string, call: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return this.#run(key, call);
    lane.next ??= lane.current.then(
      () => this.#run(key, call),
      () => this.#run(key, call),
    );
    return lane.next;
  }

  /** How many keys have a call under way. */
  get size(): number {
    return this.#lanes.size;
  }

  #run(key: string, call: () => Promise<T>): Promise<T> {
    const current = call();
    const lane: Lane<T> = { current, next: undefined };
    this.#lanes.set(key, lane);
    const leave = () => {
      // With somebody waiting, their call takes the lane over.
      if (lane.next === undefined) this.#lanes.delete(key);
    };
    current.then(leave, leave);
    return current;
  }
}
