import type { Logger } from '../../log.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { AuditRecords, NewAuditEntry } from '../../storage/metadata/audit-records.ts'
import { BatchWriter } from '../batch-writer.ts'
import type { Handler, HandlerLayer } from '../handler.ts'
import { type AccessMeasure, accessOf } from './access-measure.ts'
import { entryOfFailure, entryOfReply } from './audit-entry.ts'
import type { AuditFile } from './audit-file.ts'
import type { AuditLog } from './audit-log.ts'
import { auditKindOf } from './audited-operations.ts'
import { RefusalLimit } from './refusal-limit.ts'

export interface AuditTrailOptions {
  readonly records: Pick<AuditRecords, 'addAuditEntries'>
  /** Where entries go besides. Closed by whoever opened it. */
  readonly file?: AuditFile | undefined
  readonly log: Logger
  /** Whether pulls that were allowed are kept. */
  readonly pulls: boolean
  /** Told of entries that were lost. */
  readonly onDropped: (count: number, where: DropPlace) => void
  readonly onAccess?: ((measure: AccessMeasure) => void) | undefined
  /** Entries that may wait; 10,000 unless given. */
  readonly limit?: number | undefined
  /** Milliseconds from an entry until it is written; 1,000 unless given. */
  readonly everyMs?: number | undefined
  /** Of one address; 120 unless given. */
  readonly refusalsPerMinute?: number | undefined
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

/** `flood`: refusals of one address, more than are kept. */
export type DropPlace = 'database' | 'file' | 'flood'

/**
 * Keeps who did what: one entry for each request that changes something or was refused. Nobody waits for it but those who
 * administer: their changes are in the database before they are acknowledged.
 */
export class AuditTrail implements HandlerLayer, AuditLog, AsyncDisposable {
  readonly #options: AuditTrailOptions
  readonly #now: () => number
  readonly #refusals: RefusalLimit
  readonly #database: BatchWriter<NewAuditEntry>
  readonly #file: BatchWriter<NewAuditEntry> | undefined

  constructor(options: AuditTrailOptions) {
    const { records, file, log, onDropped, limit, everyMs, refusalsPerMinute = 120, now = Date.now } = options
    this.#options = options
    this.#now = now
    this.#refusals = new RefusalLimit(refusalsPerMinute, now)
    const common = { log, limit, everyMs }
    this.#database = new BatchWriter({
      ...common,
      what: 'entries of the audit log',
      onDropped: count => onDropped(count, 'database'),
      write: async (entries, { signal }) => {
        await records.addAuditEntries(entries, { signal })
        return entries.length
      },
    })
    this.#file =
      file &&
      new BatchWriter({
        ...common,
        what: 'lines of the audit log’s file',
        onDropped: count => onDropped(count, 'file'),
        write: entries => file.append(entries),
      })
  }

  record(entry: NewAuditEntry): void {
    this.#database.add(entry)
    this.#file?.add(entry)
  }

  async write(entry: NewAuditEntry, options?: Abortable): Promise<void> {
    this.#file?.add(entry)
    try {
      await this.#options.records.addAuditEntries([entry], options)
    } catch (error) {
      // What it tells of has happened.
      this.#database.add(entry)
      throw error
    }
  }

  around(operation: string, handler: Handler): Handler {
    return async request => {
      const audited = () => ({
        operation,
        kind: auditKindOf(operation, request.method),
        request,
        at: new Date(this.#now()),
      })
      let reply: Awaited<ReturnType<Handler>>
      try {
        reply = await handler(request)
      } catch (error) {
        this.#measure(accessOf(request, error))
        const entry = entryOfFailure(audited(), error)
        if (entry !== undefined) this.#refused(entry)
        throw error
      }
      this.#measure(accessOf(request))
      const seen = audited()
      const entry = entryOfReply(seen, reply, this.#options)
      if (entry !== undefined)
        // Not given up when the client goes: what it has asked for is done.
        await (seen.kind === 'administration' ? this.write(entry) : this.record(entry))
      return reply
    }
  }

  /** Writes what waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#database[Symbol.asyncDispose](), this.#file?.[Symbol.asyncDispose]()])
  }

  #measure(measure: AccessMeasure | undefined): void {
    if (measure !== undefined) this.#options.onAccess?.(measure)
  }

  #refused(entry: NewAuditEntry): void {
    const { log, onDropped } = this.#options
    const taken = entry.outcome === 'failed' ? 'kept' : this.#refusals.take(entry.address)
    if (taken === 'kept') {
      this.record(entry)
      return
    }
    if (taken === 'first')
      log.warn(
        { address: entry.address },
        'so many refusals of one address are not all kept in the audit log',
      )
    onDropped(1, 'flood')
  }
}
