import type { Abortable } from '../abortable.ts'
import { KyselyBlobs } from './blobs.ts'
import type { Database } from './database.ts'
import { KyselyGarbage } from './garbage.ts'
import { KyselyManifests } from './manifests.ts'
import type {
  BlobRecords,
  GarbageRecords,
  ManifestRecords,
  Metadata,
  RepositoryRecords,
  TagRecords,
  UploadRecords,
} from './metadata.ts'
import { KyselyRepositories } from './repositories.ts'
import { KyselyTags } from './tags.ts'
import { KyselyUploads } from './uploads.ts'

/** Milliseconds since 1970. */
export type Clock = () => number

/** All roles over one database. What each one does is in the file of its own. */
export class KyselyMetadata implements Metadata {
  readonly #database: Database
  readonly #repositories: RepositoryRecords
  readonly #manifests: ManifestRecords
  readonly #tags: TagRecords
  readonly #blobs: BlobRecords
  readonly #uploads: UploadRecords
  readonly #garbage: GarbageRecords

  constructor(database: Database, now: Clock) {
    this.#database = database
    this.#repositories = new KyselyRepositories(database)
    this.#manifests = new KyselyManifests(database, now)
    this.#tags = new KyselyTags(database, this.#repositories)
    this.#blobs = new KyselyBlobs(database, now)
    this.#uploads = new KyselyUploads(database, now)
    this.#garbage = new KyselyGarbage(database)
  }

  ping(options?: Abortable) {
    return this.#database.ping(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database.close()
  }

  hasRepository(...args: Parameters<RepositoryRecords['hasRepository']>) {
    return this.#repositories.hasRepository(...args)
  }

  listRepositories(...args: Parameters<RepositoryRecords['listRepositories']>) {
    return this.#repositories.listRepositories(...args)
  }

  putManifest(...args: Parameters<ManifestRecords['putManifest']>) {
    return this.#manifests.putManifest(...args)
  }

  getManifest(...args: Parameters<ManifestRecords['getManifest']>) {
    return this.#manifests.getManifest(...args)
  }

  statManifest(...args: Parameters<ManifestRecords['statManifest']>) {
    return this.#manifests.statManifest(...args)
  }

  deleteManifest(...args: Parameters<ManifestRecords['deleteManifest']>) {
    return this.#manifests.deleteManifest(...args)
  }

  listReferrers(...args: Parameters<ManifestRecords['listReferrers']>) {
    return this.#manifests.listReferrers(...args)
  }

  listTags(...args: Parameters<TagRecords['listTags']>) {
    return this.#tags.listTags(...args)
  }

  deleteTag(...args: Parameters<TagRecords['deleteTag']>) {
    return this.#tags.deleteTag(...args)
  }

  findBlob(...args: Parameters<BlobRecords['findBlob']>) {
    return this.#blobs.findBlob(...args)
  }

  commitBlob(...args: Parameters<BlobRecords['commitBlob']>) {
    return this.#blobs.commitBlob(...args)
  }

  linkBlob(...args: Parameters<BlobRecords['linkBlob']>) {
    return this.#blobs.linkBlob(...args)
  }

  unlinkBlob(...args: Parameters<BlobRecords['unlinkBlob']>) {
    return this.#blobs.unlinkBlob(...args)
  }

  createUpload(...args: Parameters<UploadRecords['createUpload']>) {
    return this.#uploads.createUpload(...args)
  }

  getUpload(...args: Parameters<UploadRecords['getUpload']>) {
    return this.#uploads.getUpload(...args)
  }

  leaseUpload(...args: Parameters<UploadRecords['leaseUpload']>) {
    return this.#uploads.leaseUpload(...args)
  }

  saveUpload(...args: Parameters<UploadRecords['saveUpload']>) {
    return this.#uploads.saveUpload(...args)
  }

  releaseUpload(...args: Parameters<UploadRecords['releaseUpload']>) {
    return this.#uploads.releaseUpload(...args)
  }

  deleteUpload(...args: Parameters<UploadRecords['deleteUpload']>) {
    return this.#uploads.deleteUpload(...args)
  }

  expiredUploads(...args: Parameters<UploadRecords['expiredUploads']>) {
    return this.#uploads.expiredUploads(...args)
  }

  knownMultiparts(...args: Parameters<UploadRecords['knownMultiparts']>) {
    return this.#uploads.knownMultiparts(...args)
  }

  listGarbage(...args: Parameters<GarbageRecords['listGarbage']>) {
    return this.#garbage.listGarbage(...args)
  }

  forgetGarbage(...args: Parameters<GarbageRecords['forgetGarbage']>) {
    return this.#garbage.forgetGarbage(...args)
  }
}
