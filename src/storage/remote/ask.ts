import type { Readable } from 'node:stream'
import type { Abortable } from '../abortable.ts'
import type { Access } from './access.ts'
import type { TransportRequest } from './registry-transport.ts'
import type { RemoteRequest } from './remote-registries.ts'

/** One request, as the registry understands it. */
export interface Ask {
  readonly access: Access
  readonly what: RemoteRequest['what']
  /** Below `/v2/` and the repository, where there is one; or wherever the registry has said. */
  readonly path: string | URL
  readonly method?: TransportRequest['method']
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | undefined
  /** In place of `body`, and sent once: neither tried again nor after a 401. */
  readonly stream?: Readable | undefined
  /** Whether redirects are followed; they are for GET unless given. */
  readonly follow?: boolean | undefined
}

export interface DocumentLimit extends Abortable {
  /** Bytes. */
  readonly limit: number
}

export interface DocumentOptions extends DocumentLimit {
  readonly accept?: readonly string[] | undefined
}
