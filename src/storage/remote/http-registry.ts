import type { Abortable } from '../abortable.ts'
import type { RepositoryName } from '../reference.ts'
import { catalogAccess, pingAccess } from './access.ts'
import type { Ask } from './ask.ts'
import { ClientCache } from './client-cache.ts'
import type { RemoteConnections } from './connections.ts'
import type { ChosenCredentials, RegistryCredentialStore } from './credentials/credentials.ts'
import { viaOf } from './hops.ts'
import { HttpRepository } from './http-repository.ts'
import { remoteCatalog } from './name-lists.ts'
import { maxPingBytes, RegistryClient } from './registry-client.ts'
import { type RegistryPatience, RegistryTransport } from './registry-transport.ts'
import type { PassedOn, PullQuota, RemoteOptions, RemoteRegistry } from './remote-registries.ts'
import { defaultRetries } from './retries.ts'
import { type Sleep, Traffic } from './traffic.ts'

export interface HttpRegistryParts {
  /** Whether plain HTTP is spoken to it. */
  readonly isPlain: boolean
  readonly credentials: RegistryCredentialStore
  readonly patience: RegistryPatience
  /** Not owned. */
  readonly connections: RemoteConnections
  readonly sleep?: Sleep | undefined
}

/** One registry, as one user for each of its repositories. */
export class HttpRegistry implements RemoteRegistry {
  readonly label: string
  readonly #options: RemoteOptions
  readonly #parts: HttpRegistryParts
  readonly #traffic: Traffic
  readonly #transport: RegistryTransport
  readonly #clients = new ClientCache()

  /** @param registry `host[:port]`, as image names have it. */
  constructor(registry: string, options: RemoteOptions, parts: HttpRegistryParts) {
    this.label = registry
    this.#options = options
    this.#parts = parts
    const { patience, connections, sleep } = parts
    this.#traffic = new Traffic({ limits: options.limits, observer: options.traffic, sleep })
    this.#transport = new RegistryTransport(registry, patience, connections, this.#traffic)
  }

  get pullQuota(): PullQuota | undefined {
    return this.#traffic.quota
  }

  get comeBackAt(): Date | undefined {
    return this.#traffic.comeBackAt
  }

  repository(name: RepositoryName, { hops }: PassedOn = { hops: [] }): HttpRepository {
    const via = hops.length === 0 ? undefined : viaOf(hops)
    return new HttpRepository(this.label, name, async options => {
      const { credentials } = this.#parts
      const image = { registry: this.label, repository: name }
      const wanted = this.#options.credentials
      const chosen = wanted === null ? undefined : await credentials.choose(image, wanted, options)
      const client = this.#clientFor(chosen)
      return via === undefined ? client : client.passingOn(via)
    })
  }

  async *repositories(options: Abortable = {}): AsyncGenerator<RepositoryName> {
    const client = await this.#client(options)
    await client.introduce(catalogAccess, options)
    yield* remoteCatalog(client, options)
  }

  async ping({ signal }: Abortable = {}): Promise<void> {
    const client = await this.#client({ signal })
    const ask: Ask = { access: pingAccess, what: 'ping', path: '' }
    const answer = await client.ask(ask, { limit: maxPingBytes, signal })
    if (answer.status !== 200) throw client.failure(ask, answer, answer.bytes)
  }

  /** For what is of no repository. */
  async #client(options: Abortable): Promise<RegistryClient> {
    const { credentials } = this.#parts
    const wanted = this.#options.credentials
    const chosen =
      wanted === null ? undefined : await credentials.chooseForRegistry(this.label, wanted, options)
    return this.#clientFor(chosen)
  }

  #clientFor(chosen: ChosenCredentials | undefined): RegistryClient {
    return this.#clients.get(
      this.label,
      chosen,
      () =>
        new RegistryClient({
          registry: this.label,
          plainHttp: this.#parts.isPlain,
          credentials: chosen,
          transport: this.#transport,
          retries: this.#options.retries ?? defaultRetries,
          sleep: this.#parts.sleep,
        }),
    )
  }
}
