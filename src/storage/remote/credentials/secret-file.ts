import { type FileHandle, open } from 'node:fs/promises'
import { DomainError, errnoOf } from '../../../errors.ts'

/** Tokens and lists of them are small; a file that is not may be a device. Bytes. */
const maxBytes = 1024 * 1024
/** Mode bits of chmod(2) by which others than owner and group read or write. */
const openToOthers = 0o006

/** A file with secrets in it, read again when it has changed. */
export class SecretFile<Content> {
  readonly path: string
  readonly #parse: (text: string) => Content
  #read: { readonly version: string; readonly content: Content } | undefined

  /** @param parse throws whatever; its message is not shown, for it may quote the secret. */
  constructor(path: string, parse: (text: string) => Content) {
    this.path = path
    this.#parse = parse
  }

  /**
   * What is in it now.
   * @throws DomainError `unavailable` when it cannot be read, `invalid` when others may read it or it makes no sense.
   */
  async content(): Promise<Content> {
    try {
      await using file = await open(this.path, 'r')
      return await this.#contentOf(file)
    } catch (cause) {
      if (cause instanceof DomainError) throw cause
      throw new DomainError(
        'unavailable',
        `The file of credentials ${this.path} cannot be read (${errnoOf(cause) ?? 'no reason given'}).`,
        { resource: 'config', name: this.path },
        { cause },
      )
    }
  }

  async #contentOf(file: FileHandle): Promise<Content> {
    const info = await file.stat({ bigint: true })
    const { mode, size, mtimeNs, ctimeNs, ino } = info
    if (!info.isFile()) throw this.#invalid('it is no regular file')
    if ((Number(mode) & openToOthers) !== 0)
      throw this.#invalid('others than its owner may read or write it; chmod 600 makes it a secret')
    if (size > maxBytes) throw this.#invalid(`it has more than ${maxBytes} bytes`)
    const version = [ino, size, mtimeNs, ctimeNs].join(' ')
    if (this.#read?.version === version) return this.#read.content
    const content = this.#parsed(await file.readFile('utf8'))
    this.#read = { version, content }
    return content
  }

  #parsed(text: string): Content {
    try {
      return this.#parse(text)
    } catch {
      throw this.#invalid('its content is not what belongs there')
    }
  }

  #invalid(why: string): DomainError {
    return new DomainError('invalid', `The file of credentials ${this.path} is not used: ${why}.`, {
      resource: 'config',
      name: this.path,
    })
  }
}

/** A secret alone in its file, without the white space around it. */
export function secretIn(text: string): string {
  const secret = text.trim()
  // A header would end at a line end, and an empty password is a file that nobody has filled.
  if (!/^[^\p{Cc}]+$/u.test(secret)) throw new Error('it is empty, or has control characters in it')
  return secret
}
