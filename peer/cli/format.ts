const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const RATE_UNITS = ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s'];

/** A size in bytes for people, in powers of 1,024: `512 B`, `1.5 KiB`, `300 MiB`. */
export function formatSize(bytes: number): string {
  return scaled(bytes, 1024, SIZE_UNITS);
}

/** A rate in bytes per second for people, in powers of 1,000 as networks are sold: `98.5 MB/s`. */
export function formatRate(bytesPerSecond: number): string {
  return scaled(bytesPerSecond, 1000, RATE_UNITS);
}

/** A duration in seconds for people: `0.42 s`, `12.3 s`, `4m05s`, `2h10m`, `3d4h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)}m${pad(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h${pad(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86_400)}d${Math.floor((whole % 86_400) / 3600)}h`;
}

/** `1 file`, `2 files`; `many` where adding an s is not enough. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let unit = 0;
  let rest = value;
  // Compared as it will be shown, so that nothing reads "1000 kB/s" or "1024 KiB".
  while (unit < units.length - 1 && Number(digits(rest, unit)) >= step) {
    rest /= step;
    unit += 1;
  }
  return `${digits(rest, unit)} ${units[unit]}`;
}

function digits(value: number, unit: number): string {
  if (unit === 0) return value.toFixed(0);
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
