import { randomBytes } from 'node:crypto'

/** What a registry that asks others for its clients calls itself: `varve-` and 16 hexadecimal digits. No secret. */
export type HopId = string & { readonly __brand: 'HopId' }

/** RFC 9110, 7.6.3: a protocol, and a pseudonym in the place of a host. A comment is anybody's. */
const ours = /^(?:http\/)?\d(?:\.\d)? (varve-[0-9a-f]{16})(?: \(.*\))?$/i

/** Registries that a request may have come by. Nobody needs half of them. */
export const maxHops = 8

export function newHopId(): string {
  return `varve-${randomBytes(8).toString('hex')}`
}

/** What all processes that share a database have agreed on. */
export function hopIdOf(text: string): HopId {
  if (!/^varve-[0-9a-f]{16}$/.test(text)) throw new Error('what a registry calls itself is no hop')
  return text as HopId
}

/**
 * The registries like this one that have passed a request on, the first one first; proxies of any other kind are left out.
 * Of more than {@link maxHops}, one more than those is told.
 *
 * @param via the header `Via`; several are one, with commas between them.
 */
export function hopsIn(via: string | undefined): readonly HopId[] {
  if (via === undefined) return []
  const hops: HopId[] = []
  for (const part of via.split(',')) {
    const [, hop] = ours.exec(part.trim()) ?? []
    if (hop !== undefined) hops.push(hop.toLowerCase() as HopId)
    if (hops.length > maxHops) break
  }
  return hops
}

/** The header `Via`. */
export function viaOf(hops: readonly HopId[]): string {
  return hops.map(hop => `1.1 ${hop}`).join(', ')
}
