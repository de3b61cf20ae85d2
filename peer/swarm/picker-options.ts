/** How fetches pick, whatever the file: see ChunkPickerOptions. Shared with the simulator of swarms. */
export const PICKER_OPTIONS = {
  windowMs: 150,
  minWindowChunks: 1,
  stallMs: 1_000,
  spareMs: 300,
  endGameChunks: 4,
} as const;
