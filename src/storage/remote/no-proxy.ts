import { isIP } from 'node:net'
import { type AddressRanges, addressRanges } from '../address-ranges.ts'
import { isLoopback } from './registry-address.ts'

/** What is connected to without the proxy. */
export interface NoProxy {
  includes(url: URL): boolean
}

/**
 * As `NO_PROXY` has it: `host` and all below it, `.host` for what is below it, either with a port, ranges of addresses, and
 * `*` for everything. The own machine is always included.
 *
 * @throws DomainError `invalid` for a range that is none.
 */
export function noProxyOf(entries: readonly string[]): NoProxy {
  const isRange = (entry: string): boolean => entry.includes('/') || isIP(entry) !== 0
  const ranges: AddressRanges = addressRanges(entries.filter(isRange))
  const names = entries.filter(entry => !isRange(entry)).map(entry => entry.toLowerCase())
  return {
    includes: url => {
      const host = url.hostname.replace(/^\[|\]$/g, '')
      const port = url.port || (url.protocol === 'https:' ? '443' : '80')
      return isLoopback(url.hostname) || ranges.includes(host) || names.some(name => fits(name, host, port))
    },
  }
}

function fits(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true
  const [, name = '', entryPort = port] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? []
  if (entryPort !== port) return false
  return name.startsWith('.') ? host.endsWith(name) : host === name || host.endsWith(`.${name}`)
}
