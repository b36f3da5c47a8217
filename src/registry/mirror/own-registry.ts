import type { Abortable } from '../../storage/abortable.ts'
import type { BlobStore } from '../../storage/blobs/blob-store.ts'
import type { ImageRegistry, WritableRepository } from '../../storage/images/image-repository.ts'
import type { RequiredReferences } from '../../storage/manifest.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { Requester } from '../../storage/requester.ts'
import { Turns } from '../../storage/turns.ts'
import { OwnRepository } from './own-repository.ts'
import type { MountSources, OwnRecords, OwnStores } from './own-stores.ts'
import { defaultTransferTimes, type TransferTimes } from './transfer-session.ts'

export interface OwnRegistryOptions {
  /** Within the tenants' quotas, as clients push to them. */
  readonly blobs: BlobStore
  readonly metadata: OwnRecords
  /** Who brings what is stored, for events; undefined: nobody from outside. */
  readonly by?: Requester | undefined
  /** Once the source has said that it has the blob, too; `named` unless given. */
  readonly mountsFrom?: MountSources | undefined
  /** What must be there before a manifest; `none` unless given, so that an index may lack children. */
  readonly requireReferences?: RequiredReferences | undefined
  readonly times?: TransferTimes | undefined
}

/** Of one page of a list. */
const namesAtOnce = 1000

/** Our own stores, as a place to copy from and to. One for each process that copies: it fetches a blob once at a time. */
export class OwnRegistry implements ImageRegistry<WritableRepository> {
  readonly label = 'varve'
  readonly #stores: OwnStores

  constructor(options: OwnRegistryOptions) {
    this.#stores = {
      blobs: options.blobs,
      metadata: options.metadata,
      by: options.by,
      mountsFrom: options.mountsFrom ?? 'named',
      requireReferences: options.requireReferences ?? 'none',
      times: options.times ?? defaultTransferTimes,
      turns: new Turns(),
    }
  }

  repository(name: RepositoryName): WritableRepository {
    return new OwnRepository(name, this.#stores)
  }

  async *repositories({ signal }: Abortable = {}): AsyncIterable<RepositoryName> {
    let after: RepositoryName | undefined
    do {
      const page = { limit: namesAtOnce, after }
      const names = await this.#stores.metadata.listRepositories(page, { signal })
      yield* names
      after = names.length < namesAtOnce ? undefined : names.at(-1)
    } while (after !== undefined)
  }
}
