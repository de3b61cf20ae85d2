import { setFlagsFromString } from 'node:v8';

/**
 * Sets how much the heap of this process may grow, in percent of what was alive on it after a full collection, before the
 * next. V8's own choice is anything from a fifth, where it takes the process for idle, to three hundred, where garbage
 * comes fast, and memory once taken is hardly given back. V8 reads the setting after each collection, so that it
 * can be given at any time.
 */
export function setHeapGrowth(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
