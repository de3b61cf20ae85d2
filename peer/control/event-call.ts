/** A call of the control service that is answered with events, whichever way it came in. */
export interface EventCall<E> {
  /** The authorization header; undefined when there is none. */
  readonly authorization: string | undefined;
  /** Bytes must not change until `onSent` is called: they are sent by then, or never will be. False: wait before more. */
  write(event: E, onSent?: () => void): boolean;
  /** Whether to wait before more. */
  readonly isFull: boolean;
  /** Resolves when there is room again; rejects when the signal fires. */
  onceDrained(signal: AbortSignal): Promise<void>;
  onCancelled(listener: () => void): void;
  /** Ends it, with what failed if something did. */
  end(failure?: unknown): void;
}

/** Answers a call. Requests that are not asked for wait at the caller. */
export type ServeCall<Q, E> = (requests: AsyncIterator<Q>, call: EventCall<E>) => void;
