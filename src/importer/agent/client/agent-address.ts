import type { RequestOptions } from 'node:https'

/** Where an agent is. */
export type AgentAddress =
  | { readonly socket: string }
  | {
      /** `https://host:port`. */
      readonly url: string
      readonly token?: string | undefined
      /** PEM: authorities that sign for the agent, and what the agent knows us by. */
      readonly ca?: string | undefined
      readonly certificate?: string | undefined
      readonly key?: string | undefined
    }

/** As people call it. */
export function nameOf(address: AgentAddress): string {
  return 'socket' in address ? address.socket : address.url
}

/** For node:http and node:https. */
export function requestOptionsOf(address: AgentAddress): RequestOptions & { readonly secure: boolean } {
  if ('socket' in address) return { secure: false, socketPath: address.socket }
  const { protocol, hostname, port } = new URL(address.url)
  const { token, ca, certificate, key } = address
  return {
    secure: protocol === 'https:',
    hostname: hostname.replace(/^\[|\]$/g, ''),
    ...(port === '' ? {} : { port }),
    ...(token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } }),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
  }
}
