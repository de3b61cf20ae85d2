import { randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { databaseIn } from './catalog/mongo-store.js';
import { openCatalog } from './open-catalog.js';
import { describeCatalog } from './testing/catalog-contract.js';
import { withDatabase } from './testing/mongodb.js';

const server = process.env['SHOAL_TEST_MONGODB_URI'];

if (server === undefined) {
  // Jest does not show the names of skipped tests.
  process.stderr.write(
    'skipped: the MongoDB catalog (to test it, set SHOAL_TEST_MONGODB_URI to the address of a MongoDB)\n',
  );
  test.skip('the MongoDB catalog', () => {});
} else {
  describe('the MongoDB catalog', () => mongoTests(server));
}

function mongoTests(address: string): void {
  const uri = withDatabase(address, `shoal-test-${randomBytes(6).toString('hex')}`);
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 5_000 });

  afterAll(async () => {
    await client.db(databaseIn(uri)).dropDatabase();
    await client.close();
  });

  describeCatalog({
    isShared: true,
    async clear() {
      // Dropping the collections would make their indexes anew for each test.
      for (const collection of await client.db(databaseIn(uri)).collections()) await collection.deleteMany({});
    },
    open: () => openCatalog(uri),
  });
}
