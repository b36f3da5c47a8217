import { constants, type FileHandle, open, stat } from 'node:fs/promises'
import { DomainError, errnoOf } from '../../errors.ts'
import type { NewAuditEntry } from '../../storage/metadata/audit-records.ts'

/** Never waits for somebody to read, should it be a pipe. */
const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

/**
 * A file with one entry of the audit log in each line, as JSON. Any number of processes may append to it: each line is
 * one write(2) of a file that is open for appending (O_APPEND), so none is torn by another. Moved away, as logrotate(8)
 * does, it is made anew at the next entry.
 */
export class AuditFile implements AsyncDisposable {
  readonly #path: string
  #file: FileHandle | undefined
  #isStale = false
  /** Whether the disk was full in the middle of a line. */
  #isInLine = false

  private constructor(path: string) {
    this.#path = path
  }

  /** @throws DomainError `invalid` when the file cannot be opened. */
  static async open(path: string): Promise<AuditFile> {
    const audit = new AuditFile(path)
    try {
      await audit.#current()
    } catch (cause) {
      throw new DomainError(
        'invalid',
        `The audit log cannot be written to ${path} (${errnoOf(cause) ?? 'no reason given'}); audit.file names the file.`,
        { resource: 'config', name: path },
        { cause },
      )
    }
    return audit
  }

  /** Answers how many of the entries, from the first on, are in the file. @throws Error of the system when none is. */
  async append(entries: readonly NewAuditEntry[]): Promise<number> {
    const file = await this.#current()
    let kept = 0
    for (const entry of entries) {
      const line = Buffer.from(`${this.#isInLine ? '\n' : ''}${JSON.stringify(entry)}\n`)
      try {
        const { bytesWritten } = await file.write(line)
        this.#isInLine = bytesWritten > 0 && bytesWritten < line.length
        if (bytesWritten < line.length) throw new Error('the file took only a part of a line')
      } catch (error) {
        if (kept === 0) throw error
        return kept
      }
      kept += 1
    }
    return kept
  }

  /** The next entry opens the file anew. */
  reopen(): void {
    this.#isStale = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }

  async #current(): Promise<FileHandle> {
    if (this.#file !== undefined && !this.#isStale && !(await this.#isMoved(this.#file))) return this.#file
    await this.#close()
    this.#isStale = false
    this.#file = await open(this.#path, flags, 0o600)
    this.#isInLine = await endsInLine(this.#path)
    return this.#file
  }

  async #close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async #isMoved(file: FileHandle): Promise<boolean> {
    const there = await stat(this.#path, { bigint: true }).catch(() => undefined)
    const here = await file.stat({ bigint: true })
    return there === undefined || there.ino !== here.ino || there.dev !== here.dev
  }
}

/** After a process that was killed, or a disk that was full, in the middle of a line. */
async function endsInLine(path: string): Promise<boolean> {
  // Whoever may only append cannot look, and neither can anybody look into a pipe.
  const stats = await stat(path)
  if (!stats.isFile() || stats.size === 0) return false
  await using file = await open(path, constants.O_RDONLY).catch(() => undefined)
  if (file === undefined) return false
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, stats.size - 1)
  return bytesRead === 1 && buffer[0] !== 0x0a
}
