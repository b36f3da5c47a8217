import { LRUCache } from 'lru-cache'
import { type DomainError, isDomainError } from '../../errors.ts'
import { type Abortable, orAbort } from '../../storage/abortable.ts'
import type { TenantName } from '../../storage/accounts/names.ts'
import type { Digest } from '../../storage/digest.ts'
import type { RepositoryRecords } from '../../storage/metadata/repository-records.ts'
import type { Tenant, TenantRecords } from '../../storage/metadata/tenant-records.ts'
import type { Usage, UsageRecords } from '../../storage/metadata/usage-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { quotaExceeded, tooManyRepositories } from './quota-errors.ts'
import type { OnLimited } from './throttled.ts'

export type QuotaRecords = Pick<TenantRecords, 'getTenant'> &
  Pick<UsageRecords, 'getUsage' | 'tenantHasBlob' | 'damagedBytesOf'> &
  Pick<RepositoryRecords, 'hasRepository'>

/** Bytes of a body that is coming. Dispose of it when they are stored, or will not be. */
export interface ComingBytes extends Disposable {
  /** So many have come. @throws DomainError `denied` when there is no room for them any more. */
  received(bytes: number, options?: Abortable): Promise<void>
}

/** How old what is known of a tenant may be while there is room. */
const maxAgeMs = 2_000

/** Repositories that are there that are kept in mind, as long as the rest is. */
const keptRepositories = 1_000

interface Facts {
  readonly limits: Pick<Tenant, 'quotaBytes' | 'quotaRepositories'> | undefined
  readonly usage: Usage
  /** Bytes that count, and are sent anew by whoever heals them: what is received may be more by so many. */
  readonly damagedBytes: number
}

/**
 * One tenant's quota, as this process knows it. What it has read of the database is up to 2 s old; what it has taken in
 * since is added. Before it refuses anything it reads again.
 *
 * By how much a quota can be exceeded: what one process receives and commits is always within it. Several that commit
 * in the same 2 s may exceed it by what the others have committed in that time. Of what is being received the others
 * know nothing before it is stored, so for so long each receives what there is room for.
 *
 * What is refused is refused with DomainError `denied`, resource `quota`.
 */
export class TenantQuota {
  readonly #tenant: TenantName
  readonly #records: QuotaRecords
  readonly #onLimited: OnLimited
  readonly #now: () => number
  #facts: Facts | undefined
  #readAt = 0
  #reading: Promise<Facts> | undefined
  /** Announced, and not received yet. */
  #coming = 0
  /** Being received now. */
  readonly #bodies = new Set<Body>()
  /** Being committed now. */
  #committing = 0
  /** Since the facts were read: all that was stored, and what of that was committed. */
  #stored = 0
  #committed = 0
  /** Made, or about to be, since the facts were read. */
  readonly #newRepositories = new Set<RepositoryName>()
  readonly #knownRepositories = new LRUCache<RepositoryName, true>({
    max: keptRepositories,
    // They may be deleted or renamed.
    ttl: maxAgeMs,
  })

  constructor(tenant: TenantName, records: QuotaRecords, onLimited: OnLimited, now: () => number) {
    this.#tenant = tenant
    this.#records = records
    this.#onLimited = onLimited
    this.#now = now
  }

  async hasLimits(options?: Abortable): Promise<boolean> {
    return areLimits((await this.#current(options)).limits)
  }

  /** For what is about to begin. @param bytes undefined: one at least. */
  async assertRoom(bytes: number | undefined, options?: Abortable): Promise<void> {
    if (bytes !== 0) await this.#unlessOver(facts => this.#overBytes(facts, bytes, bytes ?? 1), options)
  }

  /** For an upload that is about to begin, of which nothing is known. */
  async assertRoomForUpload(options?: Abortable): Promise<void> {
    await this.#unlessOver(facts => this.#overReceived(facts, undefined, 1), options)
  }

  /**
   * For a body that begins now.
   * @param length when it is announced: there is room for all of it then.
   * @param stored tells how many bytes of its session the database knows.
   */
  async receive(
    { length, stored }: { readonly length: number | undefined; readonly stored: () => number },
    options?: Abortable,
  ): Promise<ComingBytes> {
    const body: Body = { stored, known: stored(), received: stored() }
    let left = length ?? 0
    await this.#unlessOver(
      facts => this.#overReceived(facts, length, length ?? 1),
      options,
      () => {
        this.#coming += left
        this.#bodies.add(body)
      },
    )
    return {
      received: async (bytes, aborts) => {
        const announced = Math.min(left, bytes)
        left -= announced
        this.#coming -= announced
        body.received += bytes
        await this.#unlessOver(facts => this.#overReceived(facts, length, 0), aborts)
      },
      [Symbol.dispose]: () => {
        this.#coming -= left
        left = 0
        if (this.#bodies.delete(body)) this.#stored += Math.max(0, stored() - body.known)
      },
    }
  }

  /**
   * Commits what a session has received. Of several that exceed the quota together those that are committed first stay.
   * What the tenant has already costs nothing.
   */
  async commit<Result>(
    digest: Digest,
    size: number,
    commit: () => Promise<Result>,
    options?: Abortable,
  ): Promise<Result> {
    const over = ({ limits, usage }: Facts): DomainError | undefined => {
      const quota = limits?.quotaBytes ?? null
      const used = usage.bytes + this.#committed + this.#committing
      if (quota === null || used + size <= quota) return undefined
      return quotaExceeded(this.#tenant, { used, quota, needed: size })
    }
    const isWithin = over(await this.#current(options)) === undefined
    const cost = isWithin || !(await this.hasBlob(digest, options)) ? size : 0
    if (cost > 0)
      await this.#unlessOver(over, options, () => {
        this.#committing += cost
      })
    try {
      const result = await commit()
      this.#committed += cost
      return result
    } finally {
      this.#committing -= cost
    }
  }

  /** Bytes that have been stored without a session: those of a mount, or of a manifest. */
  stored(bytes: number): void {
    this.#stored += bytes
    this.#committed += bytes
  }

  hasBlob(digest: Digest, options?: Abortable): Promise<boolean> {
    return this.#records.tenantHasBlob(this.#tenant, digest, { signal: options?.signal })
  }

  /** For what makes the repository, if it is not there. */
  async assertRepository(repository: RepositoryName, options?: Abortable): Promise<void> {
    const { limits } = await this.#current(options)
    if (limits?.quotaRepositories == null) return
    if (this.#newRepositories.has(repository) || this.#knownRepositories.has(repository)) return
    if (await this.#records.hasRepository(repository, { signal: options?.signal })) {
      this.#knownRepositories.set(repository, true)
      return
    }
    const over = ({ limits: now, usage }: Facts): DomainError | undefined => {
      const quota = now?.quotaRepositories ?? null
      if (quota === null || usage.repositories + this.#newRepositories.size < quota) return undefined
      return tooManyRepositories(this.#tenant, quota)
    }
    await this.#unlessOver(over, options, () => this.#newRepositories.add(repository))
  }

  /** Only when it is committed it is known whether it is one of the damaged ones, which cost nothing then. */
  #overReceived(facts: Facts, needed: number | undefined, more: number): DomainError | undefined {
    return this.#overBytes(facts, needed, more - facts.damagedBytes)
  }

  #overBytes({ limits, usage }: Facts, needed: number | undefined, more: number): DomainError | undefined {
    const quota = limits?.quotaBytes ?? null
    let used = usage.bytes + usage.uploadingBytes + this.#stored
    for (const { received, known } of this.#bodies) used += received - known
    if (quota === null || used + this.#coming + more <= quota) return undefined
    return quotaExceeded(this.#tenant, { used, quota, needed })
  }

  /**
   * Refuses what is over by what is so now.
   * @param accept called at once when it is not: nobody else looks in between.
   */
  async #unlessOver(
    over: (facts: Facts) => DomainError | undefined,
    options?: Abortable,
    accept: () => void = () => {},
  ): Promise<void> {
    if (over(await this.#current(options)) === undefined) {
      accept()
      return
    }
    const reason = over(await this.#fresh(options))
    if (reason === undefined) {
      accept()
      return
    }
    this.#onLimited('quota')
    throw reason
  }

  async #current(options?: Abortable): Promise<Facts> {
    const isFresh = this.#facts !== undefined && this.#now() - this.#readAt <= maxAgeMs
    return isFresh && this.#facts !== undefined ? this.#facts : this.#fresh(options)
  }

  #fresh({ signal }: Abortable = {}): Promise<Facts> {
    // One for all who want to know, so none of them may end it.
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return orAbort(this.#reading, signal)
  }

  async #read(): Promise<Facts> {
    const limits = await this.#records.getTenant(this.#tenant).catch((error: unknown) => {
      if (isDomainError(error, 'not_found')) return undefined
      throw error
    })
    const isLimited = areLimits(limits)
    const usage = isLimited ? await this.#records.getUsage(this.#tenant) : nothing
    const damagedBytes = isLimited ? await this.#records.damagedBytesOf(this.#tenant) : 0
    this.#facts = { limits, usage, damagedBytes }
    this.#readAt = this.#now()
    this.#stored = 0
    for (const body of this.#bodies) body.known = body.stored()
    this.#committed = 0
    this.#newRepositories.clear()
    return this.#facts
  }
}

/** What is received of a session by this process. */
interface Body {
  /** Bytes of the session that the database knows: now, and when the facts were read. */
  readonly stored: () => number
  known: number
  /** Bytes of the session with those that have come. */
  received: number
}

const nothing: Usage = { bytes: 0, uploadingBytes: 0, repositories: 0 }

function areLimits(limits: Facts['limits']): boolean {
  return limits !== undefined && (limits.quotaBytes !== null || limits.quotaRepositories !== null)
}
