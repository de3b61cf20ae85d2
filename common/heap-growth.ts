import { setFlagsFromString } from 'node:v8';

/**
 * Lets the heap of this process become four times as large as what is alive in it before all of it is looked through
 * again. V8 itself allows a fifth more where little is allocated, as if the process were idle: with thousands of peers that
 * is a look at all their connections every few seconds, and requests wait for it. The flag is read after each
 * collection, so that it can be set at any time.
 */
export function letHeapGrow(): void {
  setFlagsFromString('--heap-growing-percent=300');
}
