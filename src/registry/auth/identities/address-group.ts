import { isIPv6 } from 'node:net'

/**
 * What stands for everybody at an address: IPv4 as it is; of IPv6 the first 64 bits, because one machine has all the
 * addresses of such a network (RFC 4291, 2.5.1).
 */
export function addressGroup(address: string): string {
  if (!isIPv6(address)) return address
  // Without the zone of a link-local address; RFC 4007, 11.
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').toLowerCase().split('::')
  const left = partsOf(head)
  const right = tail === undefined ? [] : partsOf(tail)
  const zeros = Array.from({ length: Math.max(8 - left.length - right.length, 0) }, () => '0')
  const network = [...left, ...zeros, ...right].slice(0, 4)
  return `${network.map(part => Number.parseInt(part, 16).toString(16)).join(':')}::/64`
}

/** An IPv4 address at the end counts for two. */
function partsOf(text: string): string[] {
  return text === '' ? [] : text.split(':').flatMap(part => (part.includes('.') ? ['0', '0'] : [part]))
}
