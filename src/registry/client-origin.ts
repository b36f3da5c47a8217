import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import type { AddressRanges } from '../storage/address-ranges.ts'

/** Who sent a request, as far as that can be believed. */
export interface ClientOrigin {
  /** IP address without brackets or port; an IPv4 address is never written as IPv6. Empty when the peer is gone. */
  readonly address: string
  readonly scheme: 'http' | 'https'
}

/** The connection that a request came by. */
export interface Connection {
  /** Address of its other end. */
  readonly peer: string | undefined
  readonly scheme: 'http' | 'https'
}

/** One proxy's word about who it was called by. */
interface Hop {
  readonly address: string | undefined
  readonly scheme: string | undefined
}

/**
 * The nearest address that is not a trusted proxy's. Each proxy appends the address that called it, so the list is
 * read from its end, and no further than its entries were written by trusted proxies: what a client puts in front
 * counts for nothing. `X-Forwarded-For` and `Forwarded` (RFC 7239) are both read; where both are there and disagree,
 * one of them is the client's own invention, and neither counts.
 *
 * @returns `isDirect`: whether whoever holds the connection is no trusted proxy, and so speaks for nobody else.
 */
export function clientOrigin(
  headers: IncomingHttpHeaders,
  { peer, scheme }: Connection,
  trusted: AddressRanges,
): ClientOrigin & { readonly isDirect: boolean } {
  const direct: ClientOrigin = { address: normalize(peer ?? ''), scheme }
  if (!trusted.includes(direct.address)) return { ...direct, isDirect: true }
  return { ...forwardedOrigin(headers, direct, trusted), isDirect: false }
}

function forwardedOrigin(
  headers: IncomingHttpHeaders,
  direct: ClientOrigin,
  trusted: AddressRanges,
): ClientOrigin {
  const told = [xForwarded(headers), forwarded(headers)].flatMap(hops =>
    hops === undefined ? [] : [walk(direct, hops, trusted)],
  )
  const [first, second] = told
  if (first === undefined) return direct
  return second === undefined || second.address === first.address ? first : direct
}

function walk(direct: ClientOrigin, hops: readonly Hop[], trusted: AddressRanges): ClientOrigin {
  let origin = direct
  for (const { address, scheme } of hops.toReversed()) {
    if (!trusted.includes(origin.address)) return origin
    const next = addressOf(address ?? '')
    // An entry that names nobody ends what can be known.
    if (next === undefined) return origin
    // Who says nothing of it has not changed it.
    origin = { address: next, scheme: scheme === undefined ? origin.scheme : schemeOf(scheme) }
  }
  return origin
}

function schemeOf(text: string): ClientOrigin['scheme'] {
  return text.trim().toLowerCase() === 'https' ? 'https' : 'http'
}

function xForwarded(headers: IncomingHttpHeaders): Hop[] | undefined {
  const addresses = listOf(headers['x-forwarded-for'])
  if (addresses === undefined) return undefined
  const schemes = listOf(headers['x-forwarded-proto']) ?? []
  // Most proxies pass one scheme on for the whole chain instead of appending their own.
  return addresses.map((address, index) => ({
    address,
    scheme: schemes.length === addresses.length ? schemes[index] : schemes.at(-1),
  }))
}

function forwarded(headers: IncomingHttpHeaders): Hop[] | undefined {
  return listOf(headers['forwarded'])?.map(element => {
    const pairs = new Map(
      element.split(';').map(pair => {
        const [name = '', ...value] = pair.split('=')
        return [
          name.trim().toLowerCase(),
          value
            .join('=')
            .trim()
            .replace(/^"(.*)"$/, '$1'),
        ]
      }),
    )
    return { address: pairs.get('for'), scheme: pairs.get('proto') }
  })
}

function listOf(header: string | string[] | undefined): string[] | undefined {
  return header === undefined ? undefined : [header].flat().join(',').split(',')
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`. */
function addressOf(text: string): string | undefined {
  const trimmed = text.trim()
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed
  return isIP(bare) === 0 ? undefined : normalize(bare)
}

/** A socket that takes both families writes IPv4 addresses as `::ffff:192.0.2.1` (RFC 4291, 2.5.5.2). */
function normalize(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
}
