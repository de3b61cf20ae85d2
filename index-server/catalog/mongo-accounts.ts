import { ShoalError } from '../../common/errors.js';
import type { AccountCatalog, UserRow } from '../catalog.js';
import { isDuplicate } from './mongo-errors.js';
import type { MongoStore, UserDocument } from './mongo-store.js';

/** Users, sessions and seats in MongoDB. A name is taken by a unique index, whichever server is asked. */
export function mongoAccounts(store: MongoStore): AccountCatalog {
  return {
    async createUser({ id, ...user }) {
      try {
        await store.collection('users').insertOne({ _id: id, nameKey: user.name.toLowerCase(), ...user });
      } catch (error) {
        if (!isDuplicate(error)) throw error;
        throw new ShoalError('conflict', `the user name '${user.name}' is taken`, { cause: error });
      }
    },
    async userByName(name) {
      const user = await store.collection('users').findOne({ nameKey: name.toLowerCase() });
      return user === null ? undefined : userOf(user);
    },
    async usersById(ids) {
      const users = await store
        .collection('users')
        .find({ _id: { $in: [...ids] } })
        .toArray();
      return users.map(userOf);
    },
    async setPassword(userId, passwordHash) {
      const { matchedCount } = await store.collection('users').updateOne({ _id: userId }, { $set: { passwordHash } });
      if (matchedCount === 0) throw new ShoalError('not_found', `there is no user with id ${userId}`);
    },
    async createSession({ tokenHash, userId, expiresAt }) {
      await store.collection('sessions').replaceOne({ _id: tokenHash }, { userId, expiresAt }, { upsert: true });
    },
    async session(tokenHash, now) {
      const session = await store.collection('sessions').findOne({ _id: tokenHash });
      if (session === null || session.expiresAt <= now) return undefined;
      return { tokenHash, userId: session.userId, expiresAt: session.expiresAt };
    },
    async deleteSession(tokenHash) {
      await store.collection('sessions').deleteOne({ _id: tokenHash });
    },
    async deleteSessionsOf(userId, exceptTokenHash) {
      const except = exceptTokenHash === undefined ? {} : { _id: { $ne: exceptTokenHash } };
      return (await store.collection('sessions').deleteMany({ userId, ...except })).deletedCount;
    },
    async setSeat({ userId, url }) {
      await store.collection('seats').replaceOne({ _id: userId }, { url }, { upsert: true });
    },
    async seat(userId) {
      const seat = await store.collection('seats').findOne({ _id: userId });
      return seat === null ? undefined : { userId, url: seat.url };
    },
    async deleteSeat(userId) {
      await store.collection('seats').deleteOne({ _id: userId });
    },
  };
}

function userOf({ _id, name, passwordHash, locked, createdAt }: UserDocument): UserRow {
  return { id: _id, name, passwordHash, locked, createdAt };
}
