import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import { DomainError, errnoOf } from '../../errors.ts'
import { AuditFile } from '../../registry/audit/audit-file.ts'
import type { AuditRecords, NewAuditEntry } from '../../storage/metadata/audit-records.ts'
import { version } from '../../version.ts'

/** What was done, of an entry of the audit log. */
export type SystemDeed = Pick<NewAuditEntry, 'operation' | 'target' | 'reference' | 'outcome'>

/** Tells the audit log what somebody does by a command of this machine. */
export class SystemAudit implements AsyncDisposable {
  readonly #path: string | undefined
  readonly #file: AuditFile | undefined
  readonly #who: string

  private constructor(path: string | undefined, file: AuditFile | undefined, who: string) {
    this.#path = path
    this.#file = file
    this.#who = who
  }

  /** @param path `audit.file`. @throws what opening it fails with: then nothing should be changed. */
  static async open(path: string | undefined, who: string = systemName()): Promise<SystemAudit> {
    return new SystemAudit(path, path === undefined ? undefined : await AuditFile.open(path), who)
  }

  /** @throws DomainError `unavailable`; `no_space` when only the database has it. */
  async tell(records: Pick<AuditRecords, 'addAuditEntries'>, deed: SystemDeed): Promise<void> {
    const entry: NewAuditEntry = {
      ...deed,
      at: new Date(),
      account: this.#who,
      credential: 'system',
      rule: 'the system may do everything',
      address: '',
      userAgent: `varve/${version}`,
      requestId: randomUUID(),
    }
    await records.addAuditEntries([entry])
    await this.#file?.append([entry]).catch((cause: unknown) => {
      throw new DomainError(
        'no_space',
        `This is done, and in the database's audit log, but it could not be written to ${this.#path} (${errnoOf(cause) ?? 'no reason given'}).`,
        { resource: 'config', name: this.#path },
        { cause },
      )
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.[Symbol.asyncDispose]()
  }
}

/** No account's name has a colon there. */
export function systemName(): string {
  try {
    return `system:${userInfo().username}`
  } catch {
    // A user without an entry in the list of users.
    return `system:${process.getuid?.() ?? 'unknown'}`
  }
}
