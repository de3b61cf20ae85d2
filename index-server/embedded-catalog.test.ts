import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCatalog } from './open-catalog.js';
import { describeCatalog } from './testing/catalog-contract.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-catalog-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the embedded catalog', () => {
  const path = () => join(folder, 'contract', 'index.db');
  describeCatalog({
    isShared: false,
    clear: () => rm(join(folder, 'contract'), { recursive: true, force: true }),
    open: () => openCatalog(`embedded:${path()}`),
  });
});
