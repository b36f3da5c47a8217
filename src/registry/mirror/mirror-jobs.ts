import { DomainError, isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { MirrorJob } from '../../mirror-job.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { MirrorRecords, StoredMirrorJob } from '../../storage/metadata/mirror-records.ts'
import { checkMirrorJob, parseMirrorJob } from './check-job.ts'
import { parseMirrorJobName } from './job-name.ts'

/** A job, and where it is written. */
export interface KnownJob {
  readonly job: MirrorJob
  readonly origin: JobOrigin
  /** Null for those of the configuration. */
  readonly updatedAt: Date | null
}

export type JobOrigin = 'configuration' | 'administration'

export interface MirrorJobsOptions {
  /** Those of the configuration; checked. */
  readonly configured: readonly MirrorJob[]
  readonly records: JobRecords
  /** Names of configured credentials. */
  readonly credentials: readonly string[]
  readonly log?: Pick<Logger, 'warn'> | undefined
}

type JobRecords = Pick<MirrorRecords, 'putMirrorJob' | 'listMirrorJobs' | 'deleteMirrorJob'>

const pageSize = 500

/** All mirror jobs: those of the configuration, which nobody changes here, and those of administration. */
export class MirrorJobs {
  readonly #options: MirrorJobsOptions
  readonly #configured: ReadonlyMap<string, KnownJob>
  /** Names that a warning was written about, so that it is written once. */
  readonly #warned = new Set<string>()

  constructor(options: MirrorJobsOptions) {
    this.#options = options
    this.#configured = new Map(
      options.configured.map(job => [job.name, { job, origin: 'configuration', updatedAt: null }]),
    )
  }

  /** By name. Where both have one of a name it is that of the configuration. */
  async list(options: Abortable = {}): Promise<KnownJob[]> {
    const known = new Map<string, KnownJob | undefined>(this.#configured)
    for (let after: string | undefined; ; ) {
      const page = await this.#options.records.listMirrorJobs({ limit: pageSize, after }, options)
      for (const stored of page) {
        if (known.has(stored.name)) this.#warn(stored.name, 'is in the configuration too, which counts')
        else known.set(stored.name, this.#read(stored))
      }
      after = page.at(-1)?.name
      if (page.length < pageSize) break
    }
    return [...known.values()]
      .filter(one => one !== undefined)
      .sort((one, other) => (one.job.name < other.job.name ? -1 : 1))
  }

  /** @throws DomainError `not_found`. */
  async get(name: string, options: Abortable = {}): Promise<KnownJob> {
    const found =
      this.#configured.get(name) ?? (await this.list(options)).find(({ job }) => job.name === name)
    if (found !== undefined) return found
    throw unknownJob(name)
  }

  /** Makes it, or puts it in the place of the old one. @throws DomainError `invalid`, `conflict`. */
  async put(job: MirrorJob, options: Abortable = {}): Promise<void> {
    this.#requireChangeable(job.name)
    checkMirrorJob(job, this.#options.credentials)
    await this.#options.records.putMirrorJob(
      { name: parseMirrorJobName(job.name), definition: JSON.stringify(job), updatedAt: new Date() },
      options,
    )
  }

  /** With all that is known of its runs. @throws DomainError `not_found`, `conflict`. */
  async remove(name: string, options: Abortable = {}): Promise<void> {
    this.#requireChangeable(name)
    try {
      await this.#options.records.deleteMirrorJob(parseMirrorJobName(name), options)
    } catch (error) {
      throw isDomainError(error, 'not_found') ? unknownJob(name) : error
    }
  }

  /** @throws DomainError `invalid`: of what its own check has let through, only what has changed since. */
  check(job: MirrorJob): void {
    checkMirrorJob(job, this.#options.credentials)
  }

  #requireChangeable(name: string): void {
    if (!this.#configured.has(name)) return
    throw new DomainError(
      'conflict',
      `The mirror job ${name} is in the configuration (mirror.jobs), and is changed there only.`,
      { resource: 'mirror', name },
    )
  }

  /** What an older version has stored may be none for this one; it is left out, and stays as it is. */
  #read({ name, definition, updatedAt }: StoredMirrorJob): KnownJob | undefined {
    try {
      const job = parseMirrorJob(JSON.parse(definition))
      return { job, origin: 'administration', updatedAt }
    } catch (error) {
      const why = isDomainError(error) ? error.message : 'it is not JSON'
      this.#warn(name, `cannot be used: ${why}`)
      return undefined
    }
  }

  #warn(name: string, why: string): void {
    if (this.#warned.has(name)) return
    this.#warned.add(name)
    this.#options.log?.warn({ job: name }, `the mirror job of administration ${why}`)
  }
}

export function unknownJob(name: string): DomainError {
  const shown = name.slice(0, 64)
  return new DomainError(
    'not_found',
    `There is no mirror job ${shown}; varve mirror list shows all of them.`,
    {
      resource: 'mirror',
      name: shown,
    },
  )
}
