import { randomUUID } from 'node:crypto';
import fs from 'node:fs';

/**
 * Names the boot of the machine: while it stays the same, what was written is there, synced or not. Where the system
 * gives no such name, each call gives a new one, so that nothing unsynced is ever trusted.
 */
export function readBootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return randomUUID();
  }
}
