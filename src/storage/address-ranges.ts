import { BlockList, isIP } from 'node:net'
import { DomainError } from '../errors.ts'

/** A set of IP addresses. */
export interface AddressRanges {
  includes(address: string): boolean
}

/**
 * @param cidrs such as `10.0.0.0/8`, `fd00::/8` or a single address.
 * @throws DomainError `invalid`.
 */
export function addressRanges(cidrs: readonly string[]): AddressRanges {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(cidr) ?? []
    const version = isIP(address)
    const widest = version === 4 ? 32 : 128
    const prefix = bits === undefined ? widest : Number(bits)
    if (version === 0 || prefix > widest)
      throw new DomainError(
        'invalid',
        `${JSON.stringify(cidr)} is not a range of addresses; write it such as 10.0.0.0/8 or fd00::/8.`,
        { resource: 'config', name: cidr },
      )
    list.addSubnet(address, prefix, version === 4 ? 'ipv4' : 'ipv6')
  }
  if (cidrs.length === 0) return { includes: () => false }
  return {
    includes: address => {
      const version = isIP(address)
      return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6')
    },
  }
}
