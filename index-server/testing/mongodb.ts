import { databaseIn } from '../catalog/mongo-store.js';

/** The address with another database; users still log in where they did. */
export function withDatabase(address: string, database: string): string {
  const [, server = address, , query = ''] = /^(mongodb(?:\+srv)?:\/\/[^/?]+)(\/[^?]*)?(\?.*)?$/.exec(address) ?? [];
  const login =
    /[?&]authSource=/.test(query) || !server.includes('@')
      ? query
      : `${query || '?'}&authSource=${databaseIn(address)}`;
  return `${server}/${database}${login}`;
}
