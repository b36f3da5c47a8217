import type { Config } from '../config.ts'
import type { ReadableRepository, WritableRepository } from '../storage/images/image-repository.ts'
import type { RemoteRegistries } from '../storage/remote/remote-registries.ts'
import type { CopyPlace } from './copy-place.ts'

/** What a copy opens, and closes in the end. */
export class CopyPlaces implements AsyncDisposable {
  readonly #config: Config
  readonly #opened = new AsyncDisposableStack()
  #registries: RemoteRegistries | undefined

  constructor(config: Config) {
    this.#config = config
  }

  async openSource(
    place: CopyPlace,
    credentials: string | undefined,
    signal: AbortSignal,
  ): Promise<ReadableRepository> {
    if (place.kind === 'registry') return await this.#remote(place, credentials)
    const { LayoutReader } = await import('../storage/images/layout/layout-reader.ts')
    return await LayoutReader.open(place.directory, { signal })
  }

  async openTarget(
    place: CopyPlace,
    credentials: string | undefined,
    signal: AbortSignal,
  ): Promise<WritableRepository> {
    if (place.kind === 'registry') return await this.#remote(place, credentials)
    const { LayoutRepository } = await import('../storage/images/layout/layout-repository.ts')
    return this.#opened.use(await LayoutRepository.open(place.directory, { signal }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }

  async #remote(
    { image }: CopyPlace & { kind: 'registry' },
    credentials: string | undefined,
  ): Promise<WritableRepository> {
    const { openRemoteRegistries } = await import('./open-remote-registries.ts')
    this.#registries ??= this.#opened.use(openRemoteRegistries(this.#config))
    return this.#registries.open(image.registry, { credentials }).repository(image.repository)
  }
}
