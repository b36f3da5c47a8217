import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Abortable, orAbort } from '../../../storage/abortable.ts'
import type { Digest } from '../../../storage/digest.ts'
import type { UpstreamRecords } from '../../../storage/metadata/upstream-records.ts'
import type { RepositoryName } from '../../../storage/reference.ts'

export type FillRecords = Pick<UpstreamRecords, 'leaseFill' | 'releaseFill'>

export interface FillTurnOptions extends Abortable {
  readonly leaseMs: number
  readonly pollMs: number
  /** How long others are waited for. */
  readonly withinMs: number
  /** Whether the blob is in the repository by now. */
  readonly isHere: (options: Abortable) => Promise<boolean>
}

/** The right to fetch a blob, which one has at a time among all processes. Disposing gives it back. */
export class FillTurn implements AsyncDisposable {
  readonly #records: FillRecords
  readonly #repository: RepositoryName
  readonly #digest: Digest
  readonly #leaseMs: number
  readonly #holder = randomUUID()
  readonly #ended = new AbortController()
  #renewing: Promise<void> = Promise.resolve()

  private constructor(records: FillRecords, repository: RepositoryName, digest: Digest, leaseMs: number) {
    this.#records = records
    this.#repository = repository
    this.#digest = digest
    this.#leaseMs = leaseMs
  }

  /** `here`: another has fetched it meanwhile. Undefined: another still does. */
  static async take(
    records: FillRecords,
    repository: RepositoryName,
    digest: Digest,
    { leaseMs, pollMs, withinMs, isHere, signal }: FillTurnOptions,
  ): Promise<FillTurn | 'here' | undefined> {
    const turn = new FillTurn(records, repository, digest, leaseMs)
    const until = performance.now() + withinMs
    for (;;) {
      if (await turn.#lease({ signal })) {
        turn.#renewing = turn.#renew()
        return turn
      }
      if (await isHere({ signal })) return 'here'
      if (performance.now() >= until) return undefined
      await sleep(pollMs, undefined, { signal })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort()
    await this.#renewing
    // A lease that cannot be given back runs out.
    await this.#records.releaseFill(this.#repository, this.#digest, this.#holder).catch(() => {})
  }

  #lease(options?: Abortable): Promise<boolean> {
    const lease = { holder: this.#holder, until: new Date(Date.now() + this.#leaseMs) }
    return this.#records.leaseFill(this.#repository, this.#digest, lease, options)
  }

  /** One that is lost, since the database was away for long, costs nothing but a second fetch. */
  async #renew(): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      await sleep(this.#leaseMs / 3, undefined, { signal, ref: false }).catch(() => {})
      if (!signal.aborted) await orAbort(this.#lease(), signal).catch(() => {})
    }
  }
}
