import { isIP } from 'node:net'
import { type AddressRanges, addressRanges } from '../address-ranges.ts'

/**
 * How near an address is. Whoever is sent to a near one from outside reaches what only its neighbours are meant to:
 * services of the same machine, of the same network, and the metadata of a cloud (link-local).
 */
export type Nearness = 'public' | 'private' | 'link-local' | 'loopback'

/** RFC 6890 and its registries. The unspecified address is a way to write the own machine's. */
const ranges: readonly (readonly [Nearness, AddressRanges])[] = [
  ['loopback', addressRanges(['127.0.0.0/8', '0.0.0.0/8', '::1', '::'])],
  ['link-local', addressRanges(['169.254.0.0/16', 'fe80::/10'])],
  [
    'private',
    addressRanges([
      ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15', '192.0.0.0/24'],
      ...['224.0.0.0/4', '240.0.0.0/4', 'fc00::/7', 'fec0::/10', 'ff00::/8', '64:ff9b:1::/48'],
    ]),
  ],
]

/** @param address IPv4 or IPv6, without brackets; anything else is not an address, and public. */
export function nearnessOf(address: string): Nearness {
  const plain = plainAddress(address)
  return ranges.find(([, range]) => range.includes(plain))?.[0] ?? 'public'
}

/** Of a URL's host where that alone tells it: an address, or the names of the own machine (RFC 6761, 6.3). */
export function nearnessOfHost(hostname: string): Nearness | undefined {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0) return nearnessOf(host)
  return /(?:^|\.)localhost\.?$/i.test(host) ? 'loopback' : undefined
}

/**
 * Whether what is at `from` may send us to `address`: to what is public, and to what is no nearer than itself. Nobody
 * sends us to a link-local address but what is at one.
 */
export function mayLead(from: Nearness, address: string, allowed: AddressRanges | undefined): boolean {
  const to = nearnessOf(address)
  if (to === 'public' || to === from) return true
  return (from === 'loopback' && to === 'private') || (allowed?.includes(plainAddress(address)) ?? false)
}

/**
 * The IPv4 address that is meant by an IPv6 one, where there is one: mapped and compatible (RFC 4291, 2.5.5), NAT64 (RFC
 * 6052), 6to4 (RFC 3056).
 */
function plainAddress(address: string): string {
  const [plain = ''] = address.split('%')
  if (isIP(plain) !== 6) return plain
  const words = wordsOf(plain)
  const [first, second] = words
  const start = words.slice(0, 5).join(':')
  const last = words.slice(6)
  const isMapped = start === '0:0:0:0:0' && (words[5] === 0xffff || (words[5] === 0 && (last[0] ?? 0) !== 0))
  if (isMapped || (first === 0x64 && second === 0xff9b && words.slice(2, 6).every(word => word === 0)))
    return dotted(last)
  return first === 0x2002 ? dotted(words.slice(1, 3)) : plain
}

/** The eight groups. The URL parser writes every address in one way (WHATWG URL, "IPv6 serializer"). */
function wordsOf(address: string): number[] {
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16))
  if (tail === undefined) return groups(head)
  const [before, after] = [groups(head), groups(tail)]
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function dotted(words: readonly number[]): string {
  return words.flatMap(word => [word >> 8, word & 255]).join('.')
}
