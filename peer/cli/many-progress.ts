import type { ProgressSample, ProgressView } from './progress.js';

/**
 * The progress of many files as one: what each has done adds up. Phases that bring no bytes are left out, and so is what
 * single files wait for as long as others go on.
 */
export class ManyProgress {
  readonly #view: ProgressView;
  readonly #phase: string;
  readonly #totalBytes: number;
  readonly #totalFiles: number;
  #doneBytes = 0;
  #doneFiles = 0;

  constructor(
    view: ProgressView,
    options: { readonly phase: string; readonly totalBytes: number; readonly totalFiles: number },
  ) {
    this.#view = view;
    this.#phase = options.phase;
    this.#totalBytes = options.totalBytes;
    this.#totalFiles = options.totalFiles;
  }

  /** A view for one file, to be finished when it is over, well or not; `bytes` is its size. */
  file(bytes: number): ProgressView {
    let counted = 0;
    const advance = (to: number) => {
      this.#doneBytes += Math.max(0, to - counted);
      counted = Math.max(counted, to);
    };
    let isOver = false;
    return {
      update: (sample) => {
        if (sample.phase === this.#phase) advance(Math.min(bytes, sample.doneBytes));
        this.#show(sample.detail === '' ? {} : { phase: sample.phase, detail: sample.detail });
      },
      finish: () => {
        if (isOver) return;
        isOver = true;
        advance(bytes);
        this.#doneFiles += 1;
        this.#show({});
      },
    };
  }

  /** What all that is left waits for. */
  waiting(sample: ProgressSample): void {
    this.#show({ phase: sample.phase, detail: sample.detail });
  }

  finish(): void {
    this.#view.finish();
  }

  #show(what: Partial<ProgressSample>): void {
    this.#view.update({
      phase: this.#phase,
      doneBytes: this.#doneBytes,
      totalBytes: this.#totalBytes,
      peers: 0,
      detail: '',
      files: { done: this.#doneFiles, total: this.#totalFiles },
      ...what,
    });
  }
}
