import type { IndexDescription } from 'mongodb';
import type { SentCommand } from './mongo-recorder.js';

/** What a command looks for in a collection. */
export interface QueryShape {
  readonly verb: string;
  readonly collection: string;
  readonly filter: Readonly<Record<string, unknown>>;
  readonly sort: Readonly<Record<string, unknown>>;
  readonly projection: Readonly<Record<string, unknown>>;
}

/** How a query is answered: with which index, and what is compared with the documents that it leads to. */
export interface IndexUse {
  readonly index: string;
  readonly compared: readonly string[];
  /** Whether the index has all that is asked for, so that no document is read. */
  readonly isCovered: boolean;
}

type Bound = 'point' | 'points' | 'range' | 'none';

const ID: Keys = [['_id', 1]];
type Keys = readonly (readonly [field: string, direction: number])[];

/** The queries in a command; none when it looks for nothing. */
export function shapesIn(command: SentCommand): readonly QueryShape[] {
  const [[verb = '', collection] = []] = Object.entries(command);
  const shape = (filter: unknown, rest: object = {}) =>
    ({ verb, collection: String(collection), filter: filter ?? {}, sort: {}, projection: {}, ...rest }) as QueryShape;
  const each = (list: unknown) => (list as { readonly q: object }[]).map(({ q }) => shape(q));
  switch (verb) {
    case 'find':
      return [shape(command['filter'], { sort: command['sort'] ?? {}, projection: command['projection'] ?? {} })];
    case 'findAndModify':
      return [shape(command['query'], { sort: command['sort'] ?? {} })];
    case 'aggregate':
      return [shape((command['pipeline'] as { readonly $match?: object }[])[0]?.$match)];
    case 'update':
      return each(command['updates']);
    case 'delete':
      return each(command['deletes']);
    case 'count':
      // Without a query it is a figure that the server keeps.
      return command['query'] === undefined ? [] : [shape(command['query'])];
    default:
      return [];
  }
}

/** How MongoDB can answer a query without reading a whole collection or sorting; undefined when it cannot. */
export function indexUse(shape: QueryShape, indexes: readonly IndexDescription[]): IndexUse | undefined {
  const all = [ID, ...indexes.map(({ key }) => Object.entries(key as Record<string, number>))];
  const uses = all.flatMap((keys) => useOf(shape, keys) ?? []);
  return uses.sort((a, b) => a.compared.length - b.compared.length)[0];
}

/** Equality first, then the order asked for, then at most one range: the rule by which compound indexes work. */
function useOf({ filter, sort, projection }: QueryShape, keys: Keys): IndexUse | undefined {
  const bounds = keys.map(([field]) => boundOf(filter[field]));
  const equal = bounds.findIndex((bound) => bound !== 'point');
  const prefix = equal < 0 ? keys.length : equal;
  const isOrdered = inOrder(keys, Object.entries(sort), { prefix, isOne: keys === ID && prefix === 1 });
  // Several points are one range after the other: no order of what comes behind them.
  const used = prefix + Number(bounds[prefix] === 'range' || (bounds[prefix] === 'points' && isEmpty(sort)));
  const isWholeInOrder = isEmpty(filter) && !isEmpty(sort);
  if (!isOrdered || (used === 0 && !isWholeInOrder)) return undefined;
  const fields = keys.map(([field]) => field);
  const shown = Object.entries(projection).filter(([, is]) => is === 1);
  const needed = [...Object.keys(filter), ...shown.map(([field]) => field)];
  return {
    index: fields.join(', '),
    compared: Object.keys(filter).filter((field) => !fields.slice(0, used).includes(field)),
    isCovered: projection['_id'] === 0 && shown.length > 0 && needed.every((field) => fields.includes(field)),
  };
}

function inOrder(
  keys: Keys,
  sort: readonly (readonly [string, unknown])[],
  { prefix, isOne }: { readonly prefix: number; readonly isOne: boolean },
): boolean {
  if (isOne) return true;
  return [1, -1].some((way) =>
    sort.every(([field, direction], at) => {
      const [key, along] = keys[prefix + at] ?? [];
      return key === field && Number(direction) === way * Number(along);
    }),
  );
}

/** A condition on a field, as the bounds of an index. All of several keys: one of them leads, as a point. */
function boundOf(condition: unknown): Bound {
  if (condition === undefined) return 'none';
  if (typeof condition !== 'object' || condition === null) return 'point';
  const operators = Object.keys(condition).filter((name) => name.startsWith('$'));
  if (operators.length === 0 || operators.every((name) => name === '$eq' || name === '$all')) return 'point';
  if (operators.every((name) => name === '$in')) return 'points';
  return operators.every((name) => ['$gt', '$gte', '$lt', '$lte'].includes(name)) ? 'range' : 'none';
}

function isEmpty(object: object): boolean {
  return Object.keys(object).length === 0;
}
