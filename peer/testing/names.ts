import dns from 'node:dns';

/**
 * Names that mean another address when a test says so, as the name of a pod does when the pod is replaced. Everything in
 * this process that asks the system for an address is answered; other names are looked up as ever.
 */
export class TestNames {
  readonly #addresses = new Map<string, string>();
  readonly #lookup = dns.lookup;
  readonly #promised = dns.promises.lookup;

  constructor() {
    const known = (name: string) => this.#addresses.get(name);
    const own = (name: string, ...rest: unknown[]) => {
      const address = known(name);
      const done = rest.at(-1) as (error: null, address: unknown, family?: number) => void;
      if (address === undefined) return Reflect.apply(this.#lookup, dns, [name, ...rest]);
      const isAll = (rest[0] as { all?: boolean }).all === true;
      if (isAll) process.nextTick(done, null, [{ address, family: 4 }]);
      else process.nextTick(done, null, address, 4);
      return undefined;
    };
    const promised = async (name: string, options?: { all?: boolean }) => {
      const address = known(name);
      if (address === undefined) return Reflect.apply(this.#promised, dns.promises, [name, options]);
      return options?.all === true ? [{ address, family: 4 }] : { address, family: 4 };
    };
    Object.assign(dns, { lookup: own });
    Object.assign(dns.promises, { lookup: promised });
  }

  set(name: string, address: string): void {
    this.#addresses.set(name, address);
  }

  /** Names mean again what the system says. */
  restore(): void {
    Object.assign(dns, { lookup: this.#lookup });
    Object.assign(dns.promises, { lookup: this.#promised });
  }
}
