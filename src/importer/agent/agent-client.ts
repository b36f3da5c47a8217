import { DomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { formatPlatform } from '../../storage/platform.ts'
import type { Clone, CloneName, CloneOptions } from '../chain/chain-store.ts'
import type {
  ClonedImage,
  CloneOutcome,
  ImageSummary,
  ImportOptions,
  ImportRequest,
  ImportResult,
  ImportService,
  InspectedImage,
  LineageHistory,
  PruneReport,
  PruneRequest,
  PublishedImage,
  RemovedImage,
} from '../import-service.ts'
import type { ImportRecord, JobSummary } from '../jobs/job-records.ts'
import type { AgentAddress } from './client/agent-address.ts'
import { type AgentCall, AgentConnection } from './client/agent-connection.ts'
import { isJob, outcomeOf, pending, type WireOutcome } from './client/clone-answers.ts'
import { withDates } from './client/dates.ts'
import type { ImageForClone } from './client/image-for-clone.ts'
import { fromWire } from './wire.ts'

export interface AgentClientOptions {
  /** The agent's default one unless given. */
  readonly pool?: string | undefined
}

export interface PrioritizedImportOptions extends ImportOptions {
  /** Imports of a higher one start first; 0 unless given. */
  readonly priority?: number | undefined
}

/** What a caller may want of clones; which image they are made of is the agent's to find out. */
export type WantedClone = Omit<CloneOptions, 'manifestDigest'> & ImageForClone

/** A pool of an agent, as `GET /v1` tells. */
export interface AgentPoolState {
  readonly name: string
  readonly default: boolean
  readonly open: boolean
  readonly description: string
}

/** The service of an agent, through its unix socket or by https. */
export class AgentClient implements ImportService {
  readonly #connection: AgentConnection
  readonly #pool: string | undefined

  /** @param address a path is that of a unix socket. */
  constructor(address: AgentAddress | string, { pool }: AgentClientOptions = {}) {
    this.#connection = new AgentConnection(typeof address === 'string' ? { socket: address } : address)
    this.#pool = pool
  }

  async pools(options?: Abortable): Promise<readonly AgentPoolState[]> {
    const answer = await this.#connection.call({ method: 'GET', path: '/v1', ...options })
    return (answer as { readonly pools?: readonly AgentPoolState[] }).pools ?? []
  }

  async describe(options?: Abortable): Promise<string> {
    const pools = await this.pools(options)
    const own = pools.find(pool => (this.#pool === undefined ? pool.default : pool.name === this.#pool))
    return own?.description ?? `no pool ${this.#pool ?? ''}`
  }

  /** The import ends when this call is aborted, unless somebody else follows it, too. */
  async import(
    request: ImportRequest,
    { onEvent, signal, priority }: PrioritizedImportOptions = {},
  ): Promise<ImportResult> {
    const records = this.#records({
      method: 'POST',
      path: '/v1/imports',
      query: { follow: 'true' },
      body: bodyOf(request, priority),
      signal,
    })
    return await this.#resultOf(records, request.image, onEvent)
  }

  /** Begins an import that goes on whether somebody follows it or not. */
  async startImport(
    request: ImportRequest,
    { priority, signal }: PrioritizedImportOptions = {},
  ): Promise<JobSummary> {
    const body = bodyOf(request, priority)
    return asJob(await this.#call({ method: 'POST', path: '/v1/imports', body, signal }))
  }

  async imports(options?: Abortable): Promise<JobSummary[]> {
    const all = (await this.#call({ method: 'GET', path: '/v1/imports', ...options })) as JobSummary[]
    return all.map(asJob)
  }

  async followImport(id: string, { onEvent, signal }: ImportOptions = {}): Promise<ImportResult> {
    const records = this.#records({ method: 'GET', path: `${importPath(id)}/events`, signal })
    return await this.#resultOf(records, id, onEvent)
  }

  /** @throws DomainError `not_found`. */
  async cancelImport(id: string, options?: Abortable): Promise<JobSummary> {
    return asJob(await this.#call({ method: 'DELETE', path: importPath(id), ...options }))
  }

  async images(options?: Abortable): Promise<ImageSummary[]> {
    const images = (await this.#call({ method: 'GET', path: '/v1/images', ...options })) as ImageSummary[]
    return images.map(image => withDates(image, 'importedAt', 'lastUsedAt'))
  }

  async inspect(image: string, options?: Abortable): Promise<InspectedImage> {
    const answer = await this.#call({ method: 'GET', path: '/v1/image', query: { image }, ...options })
    return withDates(answer as InspectedImage, 'importedAt', 'lastUsedAt')
  }

  async removeImage(image: string, options?: Abortable): Promise<RemovedImage> {
    const call: AgentCall = { method: 'DELETE', path: '/v1/images', query: { image }, ...options }
    return (await this.#call(call)) as RemovedImage
  }

  async clone(
    image: string,
    name: CloneName,
    { signal, pull = 'never', ...options }: WantedClone = {},
  ): Promise<ClonedImage> {
    const body = { image, pull, ...options }
    const answer = await this.#call({ method: 'PUT', path: clonePath(name), body, signal })
    if (isJob(answer)) throw pending(image)
    return withDates(answer as ClonedImage, 'createdAt')
  }

  async cloneMany(
    image: string,
    names: readonly CloneName[],
    { signal, pull = 'never', ...options }: WantedClone = {},
  ): Promise<CloneOutcome[]> {
    const body = { image, names, pull, ...options }
    const answer = await this.#call({ method: 'POST', path: '/v1/clones', body, signal })
    if (isJob(answer)) throw pending(image)
    return (answer as readonly WireOutcome[]).map(outcomeOf)
  }

  async clones(options?: Abortable): Promise<Clone[]> {
    const clones = (await this.#call({ method: 'GET', path: '/v1/clones', ...options })) as Clone[]
    return clones.map(clone => withDates(clone, 'createdAt'))
  }

  async inspectClone(name: CloneName, options?: Abortable): Promise<ClonedImage> {
    const answer = await this.#call({ method: 'GET', path: clonePath(name), ...options })
    return withDates(answer as ClonedImage, 'createdAt')
  }

  async destroyClone(name: CloneName, options?: Abortable): Promise<void> {
    await this.#call({ method: 'DELETE', path: clonePath(name), ...options })
  }

  async prune(request: PruneRequest, options?: Abortable): Promise<PruneReport> {
    const answer = await this.#call({ method: 'POST', path: '/v1/prune', body: request, ...options })
    const report = answer as PruneReport
    return { ...report, removed: report.removed.map(image => withDates(image, 'lastUsedAt')) }
  }

  async history(options?: Abortable): Promise<LineageHistory[]> {
    const lineages = (await this.#call({
      method: 'GET',
      path: '/v1/history',
      ...options,
    })) as LineageHistory[]
    return lineages.map(lineage => ({
      ...lineage,
      snapshots: lineage.snapshots.map(snapshot => withDates(snapshot, 'createdAt')),
    }))
  }

  async publish(image: string, options?: Abortable): Promise<PublishedImage> {
    const call: AgentCall = { method: 'PUT', path: '/v1/published', body: { image }, ...options }
    return (await this.#call(call)) as PublishedImage
  }

  async published(options?: Abortable): Promise<PublishedImage[]> {
    return (await this.#call({ method: 'GET', path: '/v1/published', ...options })) as PublishedImage[]
  }

  async unpublish(uuid: string, options?: Abortable): Promise<void> {
    await this.#call({ method: 'DELETE', path: `/v1/published/${encodeURIComponent(uuid)}`, ...options })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  async #call(call: AgentCall): Promise<unknown> {
    return await this.#connection.call({ ...call, query: { ...call.query, pool: this.#pool } })
  }

  #records(call: AgentCall): AsyncGenerator<object, void, undefined> {
    return this.#connection.records({ ...call, query: { ...call.query, pool: this.#pool } })
  }

  async #resultOf(
    records: AsyncIterable<object>,
    what: string,
    onEvent: ImportOptions['onEvent'],
  ): Promise<ImportResult> {
    for await (const line of records) {
      // What the agent sends is ours.
      const record = line as ImportRecord
      if ('error' in record) throw fromWire(record)
      if (record.type === 'done') {
        const { type: _, ...result } = record
        return result
      }
      onEvent?.(record)
    }
    throw new DomainError(
      'unavailable',
      `The agent at ${this.#connection.name} stopped before the import of ${what} was done.`,
      { resource: 'image', name: what },
    )
  }
}

function bodyOf({ image, platform, credentials }: ImportRequest, priority: number | undefined): object {
  return { image, platform: formatPlatform(platform), credentials, priority }
}

function asJob(answer: unknown): JobSummary {
  return withDates(answer as JobSummary, 'createdAt', 'startedAt', 'endedAt')
}

function clonePath(name: CloneName): string {
  return `/v1/clones/${encodeURIComponent(name)}`
}

function importPath(id: string): string {
  return `/v1/imports/${encodeURIComponent(id)}`
}
