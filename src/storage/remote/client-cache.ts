import { isDeepStrictEqual } from 'node:util'
import { LRUCache } from 'lru-cache'
import type { ChosenCredentials } from './credentials/credentials.ts'
import type { RegistryClient } from './registry-client.ts'

/** Registries and users whose tokens are kept. */
const maxClients = 500

/**
 * Clients by registry and name of credentials: connections are shared by all, tokens by nobody. With the secrets of the
 * time, for a token that was got with an old one says nothing about who has the new one.
 */
export class ClientCache {
  readonly #clients = new LRUCache<
    string,
    { readonly chosen: ChosenCredentials | undefined; readonly client: RegistryClient }
  >({ max: maxClients })

  get(registry: string, chosen: ChosenCredentials | undefined, create: () => RegistryClient): RegistryClient {
    const key = `${registry} ${chosen?.name ?? ''}`
    const known = this.#clients.get(key)
    if (known !== undefined && isDeepStrictEqual(known.chosen, chosen)) return known.client
    const client = create()
    this.#clients.set(key, { chosen, client })
    return client
  }
}
