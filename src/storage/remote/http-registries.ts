import type { ConnectionOptions } from './connections.ts'
import { ConfiguredCredentials } from './credentials/configured-credentials.ts'
import type { RegistryCredentialStore } from './credentials/credentials.ts'
import { HttpRegistry } from './http-registry.ts'
import { checkRegistry } from './registry-address.ts'
import { defaultPatience, openConnections, type RegistryPatience } from './registry-transport.ts'
import type { RemoteOptions, RemoteRegistries } from './remote-registries.ts'
import type { Sleep } from './traffic.ts'

export interface HttpRegistriesOptions {
  /** Registries (`host[:port]`) to speak plain HTTP to; loopback addresses always are. */
  readonly plainHttp?: readonly string[] | undefined
  /** Nobody's unless given. */
  readonly credentials?: RegistryCredentialStore | undefined
  readonly patience?: Partial<RegistryPatience> | undefined
  readonly connections?: ConnectionOptions | undefined
  readonly sleep?: Sleep | undefined
}

/** Registries that speak the distribution protocol. */
export class HttpRegistries implements RemoteRegistries {
  readonly #plainHttp: ReadonlySet<string>
  readonly #credentials: RegistryCredentialStore
  readonly #patience: RegistryPatience
  readonly #connections: ReturnType<typeof openConnections>
  readonly #sleep: Sleep | undefined

  constructor({ plainHttp = [], credentials, patience, connections, sleep }: HttpRegistriesOptions = {}) {
    this.#plainHttp = new Set(plainHttp)
    this.#credentials = credentials ?? new ConfiguredCredentials()
    this.#patience = { ...defaultPatience, ...patience }
    this.#connections = openConnections(this.#patience, connections)
    this.#sleep = sleep
  }

  open(registry: string, options: RemoteOptions = {}): HttpRegistry {
    checkRegistry(registry)
    if (typeof options.credentials === 'string') this.#credentials.confirm(registry, options.credentials)
    return new HttpRegistry(registry, options, {
      isPlain: this.#plainHttp.has(registry),
      credentials: this.#credentials,
      patience: this.#patience,
      connections: this.#connections,
      sleep: this.#sleep,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections.destroy()
  }
}
