import { isIPv4 } from 'node:net'

/** An address to listen on that is every address of the machine. */
const everywhere: ReadonlySet<string> = new Set(['', '0.0.0.0', '[::]'])

/**
 * Whether a registry (`host:port`) is plainly what listens on `address` (`host:port`, `:port`): by the same address, or by one
 * that never leaves the machine. By other names it is found out when it is asked (`storage/remote/hops.ts`).
 */
export function isOwnAddress(registry: string, address: string): boolean {
  const [asked, own] = [split(registry), split(address)]
  if (asked === undefined || own === undefined || asked.port !== own.port) return false
  if (asked.host === own.host) return true
  return isLoopback(asked.host) && (isLoopback(own.host) || everywhere.has(own.host))
}

/** Undefined where there is no port. */
function split(text: string): { host: string; port: number } | undefined {
  const [, host, port] = /^(.*):(\d{1,5})$/.exec(text.toLowerCase()) ?? []
  return host === undefined ? undefined : { host, port: Number(port) }
}

/** RFC 1122, 3.2.1.3; RFC 4291, 2.5.3; RFC 6761, 6.3. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'))
}
