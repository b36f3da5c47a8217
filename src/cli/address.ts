import { DomainError } from '../errors.ts'
import type { ListenAddress } from '../registry/server.ts'

/** `host:port`, `:port` for all addresses, `[::1]:port`. @throws DomainError `invalid`. */
export function parseAddress(text: string): ListenAddress {
  const [, host, port] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]*):(\d{1,5})$/.exec(text) ?? []
  if (host === undefined || port === undefined || Number(port) > 65_535)
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text)} is not an address to listen on; write host:port, such as 127.0.0.1:5000.`,
      { resource: 'config', name: text },
    )
  return { host: host.replace(/^\[|\]$/g, '') || '::', port: Number(port) }
}
