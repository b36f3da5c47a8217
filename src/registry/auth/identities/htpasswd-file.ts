import { open } from 'node:fs/promises'
import { DomainError, errnoOf, isDomainError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { AccountName } from '../../../storage/accounts/names.ts'
import type { AccountSource, KnownAccount } from './known-accounts.ts'
import { parseHtpasswd } from './htpasswd.ts'

/** Bytes: room for ten thousand users. */
const maxFileBytes = 1024 * 1024
/** Mode bits of chmod(2) by which others than owner and group write. */
const writableByOthers = 0o002

interface FileRead {
  readonly version: string
  /** Undefined: as when it was read last. */
  readonly hashes: ReadonlyMap<AccountName, string> | undefined
}

/**
 * Users of an htpasswd file. It is looked at for every login and read again when it has changed. While a new content is
 * of no use, the last good one counts, and the log says so once.
 */
export class HtpasswdFile implements AccountSource {
  readonly #path: string
  readonly #log: Logger
  #version = ''
  #hashes: ReadonlyMap<AccountName, string> = new Map()
  #problem = ''

  private constructor(path: string, log: Logger) {
    this.#path = path
    this.#log = log
  }

  /** @throws DomainError `invalid` when the file cannot be read, others may write it, or a line is none of bcrypt. */
  static async open(path: string, log: Logger): Promise<HtpasswdFile> {
    const file = new HtpasswdFile(path, log)
    file.#keep(await file.#read())
    return file
  }

  async find(name: AccountName, { signal }: Abortable = {}): Promise<KnownAccount | undefined> {
    signal?.throwIfAborted()
    await this.#refresh()
    const passwordHash = this.#hashes.get(name)
    return passwordHash === undefined ? undefined : { name, isAdmin: false, isActive: true, passwordHash }
  }

  async #refresh(): Promise<void> {
    try {
      this.#keep(await this.#read())
      this.#problem = ''
    } catch (error) {
      if (!isDomainError(error)) throw error
      if (error.message !== this.#problem)
        this.#log.error({ reason: error.message }, 'users of the htpasswd file stay as they were')
      this.#problem = error.message
    }
  }

  #keep({ version, hashes }: FileRead): void {
    this.#version = version
    this.#hashes = hashes ?? this.#hashes
  }

  async #read(): Promise<FileRead> {
    try {
      await using file = await open(this.#path)
      const info = await file.stat({ bigint: true })
      const { mode, ino, size, mtimeNs, ctimeNs } = info
      if (!info.isFile()) throw this.#invalid('it is no regular file')
      if ((Number(mode) & writableByOthers) !== 0)
        throw this.#invalid('everybody may write it; chmod o-w changes that')
      const version = [ino, size, mtimeNs, ctimeNs].join(' ')
      if (version === this.#version) return { version, hashes: undefined }
      if (size > maxFileBytes) throw this.#invalid(`it has more than ${maxFileBytes} bytes`)
      const content = parseHtpasswd(await file.readFile('utf8'))
      if ('problem' in content) throw this.#invalid(content.problem)
      return { version, hashes: content.hashes }
    } catch (error) {
      throw isDomainError(error)
        ? error
        : this.#invalid(`it cannot be read (${errnoOf(error) ?? 'no reason given'})`)
    }
  }

  #invalid(why: string): DomainError {
    return new DomainError('invalid', `The htpasswd file ${this.#path} cannot be used: ${why}.`, {
      resource: 'config',
      name: this.#path,
    })
  }
}
