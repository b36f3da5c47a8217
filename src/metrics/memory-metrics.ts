import { Counter, Gauge, type Registry } from 'prom-client'

/** What is looked at when somebody asks for the metrics. */
export interface MemorySources {
  readonly uploadBuffers: {
    readonly usedBytes: number
    readonly limitBytes: number
    readonly waiting: number
  }
  /** Upload sessions that this process is writing to. */
  readonly uploads: { readonly openWriters: number }
  /** Small blobs in memory, if any are kept. */
  readonly blobCache?:
    | {
        readonly usedBytes: number
        readonly limitBytes: number
        readonly hits: number
        readonly misses: number
      }
    | undefined
}

/** Of the memory of uploads and of cached blobs. */
export function observeMemory(
  registry: Registry,
  { uploadBuffers, uploads, blobCache }: MemorySources,
): void {
  observe(
    registry,
    'varve_upload_buffered_bytes',
    'Bytes of memory that uploads hold.',
    () => uploadBuffers.usedBytes,
  )
  observe(
    registry,
    'varve_upload_buffer_limit_bytes',
    'Bytes of memory that uploads may hold.',
    () => uploadBuffers.limitBytes,
  )
  observe(
    registry,
    'varve_upload_buffer_waiting',
    'Uploads that wait for memory.',
    () => uploadBuffers.waiting,
  )
  observe(
    registry,
    'varve_uploads_open',
    'Upload sessions that this process is writing to.',
    () => uploads.openWriters,
  )
  if (blobCache !== undefined) observeCache(registry, blobCache)
}

function observeCache(registry: Registry, cache: NonNullable<MemorySources['blobCache']>): void {
  observe(
    registry,
    'varve_blob_cache_bytes',
    'Bytes of memory that small blobs take up.',
    () => cache.usedBytes,
  )
  observe(
    registry,
    'varve_blob_cache_limit_bytes',
    'Bytes of memory that small blobs may take up.',
    () => cache.limitBytes,
  )
  count(
    registry,
    'varve_blob_cache_hits_total',
    'Reads of small blobs that were answered from memory.',
    () => cache.hits,
  )
  count(
    registry,
    'varve_blob_cache_misses_total',
    'Reads of small blobs that the object store was asked for.',
    () => cache.misses,
  )
}

/** A counter that is kept elsewhere, and looked up when it is asked for. */
function count(registry: Registry, name: string, help: string, value: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(value())
    },
  })
}

/** A gauge whose value is looked up when it is asked for. */
function observe(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(value())
    },
  })
}
