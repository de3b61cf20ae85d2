import type { Metadata } from '@grpc/grpc-js';
import { ShoalError } from '../../common/errors.js';
import { isFileId } from '../../common/names.js';
import type { TicketClaims } from '../../index-server/api/statements.js';
import type { StoredFile } from '../stored-file.js';

/** Who calls: what its ticket says, and the ticket itself. */
export interface Caller {
  readonly claims: TicketClaims;
  readonly ticket: string;
}

/** A file that the caller may read, and whether every account may. */
export interface ReadableFile {
  readonly file: StoredFile;
  readonly isPublic: boolean;
}

/** What access is decided by. */
export interface FileAccessDeps {
  readonly file: (id: string) => StoredFile | undefined;
  /** Checks the ticket and returns what it says; throws `unauthenticated` or `denied`. */
  readonly verifyTicket: (token: string) => Promise<TicketClaims>;
  /** Whether the records kept beside the file let every account read it. */
  readonly isPublic: (file: StoredFile) => Promise<boolean>;
}

/** Decides who may do what with the files of this peer. */
export class FileAccess {
  readonly #deps: FileAccessDeps;

  constructor(deps: FileAccessDeps) {
    this.#deps = deps;
  }

  /** Who calls, by the authorization header. Throws `unauthenticated` or `denied` when its ticket is none or no good. */
  async caller(authorization = ''): Promise<Caller> {
    const ticket = /^Bearer (.+)$/i.exec(authorization)?.[1];
    if (ticket === undefined) {
      throw new ShoalError('unauthenticated', 'no ticket in the authorization metadata', {
        hint: 'get one from the index with POST /api/v1/locate and send it as "authorization: Bearer TICKET"',
      });
    }
    return { claims: await this.#deps.verifyTicket(ticket), ticket };
  }

  /**
   * A file for one who may read it. Throws `invalid` for what is no id, `denied` for a ticket for another file, and
   * `not_found` otherwise: whoever may not read a file learns nothing about whether it is here.
   */
  async readable({ claims }: Caller, id: string): Promise<ReadableFile> {
    checkFileId(id);
    const file = this.#deps.file(id);
    const isPublic = file !== undefined && (await this.#deps.isPublic(file));
    const mayRead = claims.act === 'read' ? claims.file === id : claims.act === 'peer' && isPublic;
    if (claims.act === 'read' && !mayRead) throw new ShoalError('denied', `this ticket is not for file ${id}`);
    if (file === undefined || !mayRead) throw new ShoalError('not_found', `this peer does not serve file ${id}`);
    return { file, isPublic };
  }
}

/** Throws `denied` unless the caller may publish. */
export function checkMayPublish({ claims }: Caller): void {
  if (claims.act !== 'read') return;
  throw new ShoalError('denied', 'this ticket is for reading, not for publishing', {
    hint: 'get a publish ticket with POST /api/v1/tickets',
  });
}

/** Throws `invalid` for what is no id, and `denied` unless the caller may have this peer copy the file. */
export function checkMayReplicate({ claims }: Caller, id: string): void {
  checkFileId(id);
  if (claims.act === 'publish' || (claims.file !== undefined && claims.file !== id)) {
    throw new ShoalError('denied', `this ticket is not for file ${id}`);
  }
}

/** The authorization header of a call; undefined when there is none. */
export function authorizationOf(metadata: Metadata): string | undefined {
  return metadata.get('authorization')[0]?.toString();
}

function checkFileId(id: string): void {
  if (!isFileId(id))
    throw new ShoalError('invalid', `'${id.slice(0, 80)}' is not a file id (64 lower-case hex digits)`);
}
