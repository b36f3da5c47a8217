import type { Abortable } from '../abortable.ts'
import { KyselyAdoption } from './adoption.ts'
import type { AdoptionRecords } from './adoption-records.ts'
import { KyselyBlobs } from './blobs.ts'
import type { Database } from './database.ts'
import { KyselyEventEndpoints } from './event-endpoints.ts'
import type { EventEndpointRecords, EventRecords } from './event-records.ts'
import { EventWriter } from './event-writer.ts'
import { KyselyEvents } from './events.ts'
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
import type { SettingRecords } from './setting-records.ts'
import { KyselySettings } from './settings.ts'
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
  readonly #adoption: AdoptionRecords
  readonly #events: EventRecords
  readonly #endpoints: EventEndpointRecords
  readonly #settings: SettingRecords

  constructor(database: Database, now: Clock) {
    this.#database = database
    const events = new EventWriter(database)
    this.#repositories = new KyselyRepositories(database)
    this.#manifests = new KyselyManifests(database, events, now)
    this.#tags = new KyselyTags(database, this.#repositories, events, now)
    this.#blobs = new KyselyBlobs(database, events, now)
    this.#uploads = new KyselyUploads(database, now)
    this.#garbage = new KyselyGarbage(database)
    this.#adoption = new KyselyAdoption(database, events, now)
    this.#events = new KyselyEvents(database, events)
    this.#endpoints = new KyselyEventEndpoints(database, now)
    this.#settings = new KyselySettings(database)
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

  adoptBlob(...args: Parameters<AdoptionRecords['adoptBlob']>) {
    return this.#adoption.adoptBlob(...args)
  }

  adoptTag(...args: Parameters<AdoptionRecords['adoptTag']>) {
    return this.#adoption.adoptTag(...args)
  }

  agreeOn(...args: Parameters<SettingRecords['agreeOn']>) {
    return this.#settings.agreeOn(...args)
  }

  addEvents(...args: Parameters<EventRecords['addEvents']>) {
    return this.#events.addEvents(...args)
  }

  listEvents(...args: Parameters<EventRecords['listEvents']>) {
    return this.#events.listEvents(...args)
  }

  eventBounds(...args: Parameters<EventRecords['eventBounds']>) {
    return this.#events.eventBounds(...args)
  }

  deleteEvents(...args: Parameters<EventRecords['deleteEvents']>) {
    return this.#events.deleteEvents(...args)
  }

  registerEndpoints(...args: Parameters<EventEndpointRecords['registerEndpoints']>) {
    return this.#endpoints.registerEndpoints(...args)
  }

  leaseEndpoint(...args: Parameters<EventEndpointRecords['leaseEndpoint']>) {
    return this.#endpoints.leaseEndpoint(...args)
  }

  saveEndpoint(...args: Parameters<EventEndpointRecords['saveEndpoint']>) {
    return this.#endpoints.saveEndpoint(...args)
  }

  listEndpoints(...args: Parameters<EventEndpointRecords['listEndpoints']>) {
    return this.#endpoints.listEndpoints(...args)
  }
}
