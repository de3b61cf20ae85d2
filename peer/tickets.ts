import { type CompactJWSHeaderParameters, compactVerify, errors, type JWTHeaderParameters, jwtVerify } from 'jose';
import { ShoalError } from '../common/errors.js';
import type { PublicKey } from '../index-server/api/peers.js';
import {
  type RecordClaims,
  recordClaimsSchema,
  type TicketClaims,
  ticketClaimsSchema,
} from '../index-server/api/statements.js';

/** The audience that every ticket names, so that nothing else which the index signs passes for one. */
const TICKET_AUDIENCE = 'shoal-peer';
const RECORD_TYPE = 'shoal-record+jwt';
/** How long past its expiry a ticket is honoured while the index cannot be reached, in seconds. */
const CUT_OFF_GRACE_SECONDS = 3600;

/** Checks what the index signed, by its public keys alone. Without keys nothing passes. */
export class TicketVerifier {
  readonly #clockToleranceSeconds: number;
  #keys = new Map<string, PublicKey>();

  constructor(options: { readonly clockToleranceSeconds: number }) {
    this.#clockToleranceSeconds = options.clockToleranceSeconds;
  }

  /** Replaces the keys that are trusted. */
  setKeys(keys: readonly PublicKey[]): void {
    this.#keys = new Map(keys.map((key) => [key.kid, key]));
  }

  /**
   * What a ticket says. Throws `unauthenticated` for one that is not from this index, not for peers, or over. With
   * `cutOff`, which means that the index cannot be asked for a new one, it passes up to an hour after its expiry.
   */
  async verifyTicket(
    token: string,
    { nowMs, cutOff }: { readonly nowMs: number; readonly cutOff: boolean },
  ): Promise<TicketClaims> {
    try {
      const { payload } = await jwtVerify(token, (header) => this.#keyOf(header), {
        algorithms: ['EdDSA'],
        audience: TICKET_AUDIENCE,
        typ: 'JWT',
        requiredClaims: ['exp'],
        currentDate: new Date(nowMs),
        clockTolerance: this.#clockToleranceSeconds + (cutOff ? CUT_OFF_GRACE_SECONDS : 0),
      });
      return ticketClaimsSchema.parse(payload);
    } catch (cause) {
      const why = cause instanceof errors.JWTExpired ? 'has expired' : 'is not valid';
      throw new ShoalError('unauthenticated', `the ticket ${why}`, {
        cause,
        hint: 'ask the index for a new one: POST /api/v1/locate to read, POST /api/v1/tickets to publish',
      });
    }
  }

  /** What a record or tombstone says. Throws `corrupt` for one that this index did not sign. */
  async verifyRecord(record: string): Promise<RecordClaims> {
    try {
      const { payload, protectedHeader } = await compactVerify(record, (header) => this.#keyOf(header), {
        algorithms: ['EdDSA'],
      });
      if (protectedHeader.typ !== RECORD_TYPE) throw new Error(`its type is ${protectedHeader.typ}`);
      return recordClaimsSchema.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
    } catch (cause) {
      throw new ShoalError('corrupt', 'the record was not signed by the index', { cause });
    }
  }

  #keyOf(header: JWTHeaderParameters | CompactJWSHeaderParameters): PublicKey {
    const key = header.kid === undefined ? undefined : this.#keys.get(header.kid);
    if (key === undefined) throw new Error(`it is signed by a key that is not known here: ${header.kid}`);
    return key;
  }
}
