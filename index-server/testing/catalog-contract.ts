import type { Catalog } from '../catalog.js';
import { accountContract } from './contract-accounts.js';
import { findingContract } from './contract-finding.js';
import { holdingContract } from './contract-holdings.js';
import { pagingContract } from './contract-paging.js';
import { peerContract } from './contract-peers.js';
import { publishingContract } from './contract-publishing.js';
import { removalContract } from './contract-removal.js';

/** A store under test. */
export interface ContractStore {
  /** Makes the store empty. */
  clear(): Promise<void>;
  /** An open catalog on what the store holds. Where several servers may share it, each call is another server. */
  open(): Promise<Catalog>;
  /** Whether several servers may share it. */
  readonly isShared: boolean;
}

/** What the parts of the contract use; every test begins with an empty store. */
export interface ContractContext {
  /** The catalog of this test. */
  catalog(): Catalog;
  /** As many servers of the same store as it allows, two at the most. */
  servers(): Promise<readonly Catalog[]>;
  /** Closes the catalog and opens the store again. */
  reopen(): Promise<Catalog>;
}

/** Everything that a {@link Catalog} promises, tried on a store. */
export function describeCatalog(store: ContractStore): void {
  let opened: Catalog[] = [];
  const open = async (): Promise<Catalog> => {
    const catalog = await store.open();
    opened.push(catalog);
    return catalog;
  };
  const closeAll = async (): Promise<void> => {
    await Promise.all(opened.map((catalog) => catalog.close()));
    opened = [];
  };
  const first = (): Catalog => {
    const [catalog] = opened;
    if (catalog === undefined) throw new Error('no catalog is open');
    return catalog;
  };
  const context: ContractContext = {
    catalog: first,
    servers: async () => (store.isShared ? [first(), await open()] : [first()]),
    async reopen() {
      await closeAll();
      return open();
    },
  };

  beforeEach(async () => {
    await store.clear();
    await open();
  });
  afterEach(closeAll);

  describe('accounts', () => accountContract(context));
  describe('publishing', () => publishingContract(context));
  describe('removal', () => removalContract(context));
  describe('finding', () => findingContract(context));
  describe('paging', () => pagingContract(context));
  describe('peers', () => peerContract(context));
  describe('holdings', () => holdingContract(context));
}
