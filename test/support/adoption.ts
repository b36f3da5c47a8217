import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { adoptRegistry } from '../../src/storage/adopt/adopt-registry.ts'
import type { AdoptProblem, AdoptReport } from '../../src/storage/adopt/adopt-report.ts'
import { CopyingMover } from '../../src/storage/adopt/copying-mover.ts'
import { DirectoryLegacyStore } from '../../src/storage/adopt/directory-legacy-store.ts'
import { SharingMover } from '../../src/storage/adopt/sharing-mover.ts'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import type { FileTaker } from '../../src/storage/objects/file-taker.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import type { ObjectStore } from '../../src/storage/objects/object-store.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export interface AdoptTestOptions {
  readonly trust?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly onBlob?: (() => void) | undefined
  /** Stands between the adoption and the objects. */
  readonly objects?: (ObjectStore & FileTaker) | undefined
}

export interface Adopted {
  readonly report: AdoptReport
  readonly problems: readonly AdoptProblem[]
}

/** Somewhere to adopt to, with objects in a directory and metadata in SQLite, and room for an old registry. */
export interface AdoptionTarget extends AsyncDisposable {
  /** Of the old registry. */
  readonly old: string
  readonly metadata: Metadata
  readonly objects: FilesystemObjectStore
  readonly blobs: ObjectBlobStore
  adopt(options?: AdoptTestOptions): Promise<Adopted>
}

/** @param oldRoot where the old registry is; beside the new one unless given. */
export async function adoptionTarget(oldRoot?: string): Promise<AdoptionTarget> {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const old = oldRoot ?? join(path, 'old')
  await mkdir(join(old, 'docker/registry/v2/repositories'), { recursive: true })
  const objects = await FilesystemObjectStore.open(join(path, 'new'))
  const metadata = stack.use(await openSqliteMetadata(join(path, 'new.db')))
  const blobs = new ObjectBlobStore({ objects, metadata })
  const adopt = async (options: AdoptTestOptions = {}): Promise<Adopted> => {
    const { trust = false, signal, onBlob } = options
    const problems: AdoptProblem[] = []
    await using from = await DirectoryLegacyStore.open(old)
    const otherwise = new CopyingMover(from, blobs)
    const mover = new SharingMover({ from, objects: options.objects ?? objects, metadata, otherwise, trust })
    const report = await adoptRegistry(
      { from, mover, metadata },
      {
        trust,
        parallel: 3,
        signal,
        onEvent: event => {
          if (event.type === 'problem') problems.push(event)
          if (event.type === 'blob') onBlob?.()
        },
      },
    )
    return { report, problems }
  }
  const owned = stack.move()
  return { old, metadata, objects, blobs, adopt, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
