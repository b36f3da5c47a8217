import { isIPv6 } from 'node:net'
import type { RegistryRequest } from '../request.ts'
import { BucketTable, type BucketTableOptions } from './bucket-table.ts'

/** Whose share a request is taken from. */
export interface LimitedParty {
  readonly kind: 'account' | 'address'
  readonly name: string
}

/** The account, when it is known; else the address. */
export function partyOf({ facts, client }: Pick<RegistryRequest, 'facts' | 'client'>): LimitedParty {
  const account = facts.caller?.account ?? null
  return account === null ? addressPartyOf({ client }) : { kind: 'account', name: account }
}

export function addressPartyOf({ client }: Pick<RegistryRequest, 'client'>): LimitedParty {
  return { kind: 'address', name: networkOf(client) }
}

/** An IPv4 address, or the network /64 of an IPv6 address, of which everybody has as many as they like (RFC 6177). */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [bare = ''] = address.split('%', 1)
  const [head = '', tail] = bare.split('::')
  const groups = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  // An IPv4 address at the end takes the place of two groups.
  const taken = groups.length + after.length + (bare.includes('.') ? 1 : 0)
  const all =
    tail === undefined ? groups : [...groups, ...Array<string>(Math.max(0, 8 - taken)).fill('0'), ...after]
  const network = all.slice(0, 4).map(group => Number.parseInt(group, 16).toString(16))
  return `${network.join(':')}::/64`
}

/** Buckets of accounts and of addresses, apart: so that no number of addresses takes the room of an account. */
export class PartyBuckets {
  readonly #tables: Readonly<Record<LimitedParty['kind'], BucketTable>>

  constructor(options: BucketTableOptions) {
    this.#tables = { account: new BucketTable(options), address: new BucketTable(options) }
  }

  /** See {@link BucketTable.tryTake}. */
  tryTake({ kind, name }: LimitedParty): number {
    return this.#tables[kind].tryTake(name)
  }

  /** See {@link BucketTable.take}. */
  take({ kind, name }: LimitedParty, amount: number): number {
    return this.#tables[kind].take(name, amount)
  }
}
