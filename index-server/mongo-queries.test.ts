import { ObjectId } from 'mongodb';
import { INDEXES, type MongoDocuments } from './catalog/mongo-store.js';
import type { Catalog } from './catalog.js';
import { openCatalog } from './open-catalog.js';
import { fileRow, idOf, peerRow } from './testing/catalog-rows.js';
import { MongoRecorder } from './testing/mongo-recorder.js';
import { indexUse, type QueryShape, shapesIn } from './testing/query-shapes.js';
import { useEverything } from './testing/use-everything.js';

/*
 * What the driver really sends, against the indexes that the store makes: by the rules of MongoDB's planner, since no
 * server need be here, and one that is may be a stand-in that plans in another way.
 */

const row = fileRow();
const { name: _name, ...peer } = peerRow();
/** Of each collection, what every query finds, so that the ones behind it are sent as well. */
const FOUND: Partial<MongoDocuments> & Record<string, object> = {
  names: {
    ...{
      _id: 'id-of-ann/model.bin',
      revision: new ObjectId(),
      current: { ...row, tags: ['a=1'] },
      older: [],
      gone: [],
    },
    ...{ ids: [row.id], mostReplicas: 2, placeKeys: [], place: 'model.bin', ageKeys: [], age: '1', removedAt: 0 },
  },
  gone: { _id: row.id, removedAt: 1 },
  gonePlaces: { _id: 'place', file: row.id, key: 'id-of-ann/model.bin', version: 1, removedAt: 1 },
  peers: { _id: 'peer-0', ...peer, mark: 1 },
  holdings: { _id: `${row.id}/peer-0`, file: row.id, peer: 'peer-0', complete: true, spot: 1, mark: 1 },
  counters: { _id: 'mark', value: 2 },
};

/** What may be compared with documents after the index has led to them, and why that is never many. */
const COMPARED: Readonly<Record<string, string>> = {
  'delete holdings peer, file: mark':
    'all holdings of one peer are looked at, to find those of an earlier announcement',
  'delete sessions userId: _id': 'a user has few sessions',
};

let recorder: MongoRecorder;
let catalog: Catalog;
beforeEach(async () => {
  recorder = new MongoRecorder(FOUND);
  catalog = await openCatalog(await recorder.listen());
  recorder.commands.length = 0;
});
afterEach(async () => {
  await catalog.close();
  await recorder.close();
});

const sent = () => recorder.commands.flatMap(shapesIn);
const useOf = (shape: QueryShape) => indexUse(shape, INDEXES[shape.collection as keyof MongoDocuments] ?? []);
const told = ({ verb, collection, filter, sort }: QueryShape) =>
  `${verb} ${collection} ${JSON.stringify({ filter, sort })}`;
const inShort = (shape: QueryShape) => `${shape.verb} ${shape.collection} ${useOf(shape)?.index}`;

describe('the queries that go to MongoDB', () => {
  test('each have an index that gives their documents and their order', async () => {
    await useEverything(catalog);
    const shapes = sent();
    expect(shapes.filter((shape) => useOf(shape) === undefined).map(told)).toEqual([]);
    const compared = shapes
      .filter((shape) => useOf(shape)?.index !== '_id' && useOf(shape)?.compared.length !== 0)
      .map((shape) => `${inShort(shape)}: ${useOf(shape)?.compared.join(', ')}`);
    expect(new Set(compared)).toEqual(new Set(Object.keys(COMPARED)));
    const whole = shapes.filter(({ filter }) => Object.keys(filter).length === 0);
    expect(new Set(whole.map(inShort))).toEqual(new Set(['find peers _id']));
    expect(new Set(shapes.map(({ collection }) => collection)).size).toBe(10);
  });

  test('of a heartbeat go by _id', async () => {
    await catalog.heartbeat({ ...peerRow(), state: 'live' });
    expect(sent().map(inShort)).toEqual(['update peers _id', 'find peers _id']);
  });

  test('of a locate go by _id, or by the id of the file', async () => {
    await catalog.current('id-of-ann', 'model.bin');
    expect(sent().map(inShort)).toEqual(['find names _id']);
    recorder.commands.length = 0;
    await catalog.versionsWithId(row.id, { userId: 'id-of-bob' }, 1);
    expect(sent().map(inShort).sort()).toEqual([
      'find names ageKeys, age',
      'find names ageKeys, age',
      'find names ids, _id',
    ]);
    recorder.commands.length = 0;
    await catalog.holders(row.id, { now: 0, limit: 1, random: 0 });
    const holdings = sent().filter(({ collection }) => collection === 'holdings');
    expect(holdings.map((shape) => useOf(shape)?.isCovered)).toEqual([true]);
    expect(sent().map(inShort)).toEqual(['find holdings file, complete, spot, peer', 'find peers _id']);
  });
});

describe('a query without a fitting index', () => {
  const indexes = [{ key: { a: 1, b: -1, c: 1 } }];
  const find = (filter: object, sort: object = {}) =>
    indexUse({ verb: 'find', collection: 'x', filter: { ...filter }, sort: { ...sort }, projection: {} }, indexes)
      ?.index;

  test.each([
    [{ b: 1 }, {}],
    [{}, {}],
    [{ a: { $ne: 1 } }, {}],
    [{ a: 1 }, { c: 1 }],
    [{ a: 1 }, { b: 1, c: 1 }],
    [{ a: { $in: [1, 2] } }, { b: 1 }],
    [{ a: { $gt: 1 } }, { b: 1 }],
    [{ d: 1 }, { d: 1 }],
  ])('is noticed: %j in order of %j', (filter, sort) => {
    expect(find(filter, sort)).toBeUndefined();
  });

  test.each([
    [{ a: 1, b: 2, c: { $gt: 1 } }, {}],
    [{ a: idOf('x') }, { b: 1, c: -1 }],
    [{ a: { $all: [1, 2] }, b: { $gt: 1 } }, { b: -1 }],
    [{ a: { $in: [1, 2] } }, {}],
    [{}, { a: 1 }],
  ])('is not taken for one: %j in order of %j', (filter, sort) => {
    expect(find(filter, sort)).toBe('a, b, c');
  });
});
