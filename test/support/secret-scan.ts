import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { knownSecrets } from './test-secrets.ts'

/** A secret where none may be. */
export interface Leak {
  /** Which kind of secret. */
  readonly kind: string
  /** The file, or what else was looked through. */
  readonly where: string
  /** What stands around it, without it. */
  readonly context: string
}

const kinds: readonly (readonly [kind: string, pattern: RegExp])[] = [
  ['a password of the tests', new RegExp(knownSecrets().map(escaped).join('|'), 'g')],
  ['an API token or refresh token', /\bvr[vr]_[a-z0-9]{16}_[0-9A-Za-z]{49}\b/g],
  // Header and claims are JSON objects (RFC 7519, 7.1), which all begin alike; one without a signature is nobody's secret.
  ['a signed token', /\beyJ[\w-]{10,2000}\.eyJ[\w-]{10,10000}\.[\w-]{16,1000}/g],
  ['a private key', /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/g],
  ['a private key in a JWK', /\\?"d\\?": ?\\?"[\w-]{40,200}\\?"/g],
]

/** Longer than anything that is looked for, which may lie across two chunks. */
const overlap = 16 * 1024
const contextLength = 60

/** By kind, where the last one begins that was told. */
type Told = Map<string, number>

/** Looks for secrets in all that a test run has printed and logged, in bounded memory. */
export class SecretScan {
  readonly leaks: Leak[] = []
  /** Looked through so far. */
  bytes = 0
  logs = 0

  addText(where: string, text: string): void {
    this.bytes += Buffer.byteLength(text)
    this.#look(where, text, 0, new Map())
  }

  async addFile(path: string, where: string = path): Promise<void> {
    this.logs += 1
    let tail = ''
    let tailAt = 0
    const told: Told = new Map()
    // One character for each byte: what is looked for is ASCII, and nothing is torn.
    for await (const chunk of createReadStream(path, { encoding: 'latin1', highWaterMark: 1024 * 1024 })) {
      const text = tail + String(chunk)
      this.bytes += text.length - tail.length
      this.#look(where, text, tailAt, told)
      tail = text.slice(-overlap)
      tailAt += text.length - tail.length
    }
  }

  /** All files of a directory, none of which is a directory. */
  async addDirectory(path: string): Promise<void> {
    for (const name of (await readdir(path)).sort()) await this.addFile(join(path, name), name)
  }

  /** One line for people. */
  summary(): string {
    const found = this.leaks.length === 0 ? 'nothing found' : `${this.leaks.length} found`
    return `secret scan: ${this.bytes} bytes, ${this.logs} logs, ${found}`
  }

  /** @param at where the text begins in all of it. What a piece ends within is found again, longer, with the next. */
  #look(where: string, text: string, at: number, told: Told): void {
    for (const [kind, pattern] of kinds)
      for (const { index } of text.matchAll(pattern)) {
        if (at + index <= (told.get(kind) ?? -1)) continue
        told.set(kind, at + index)
        const before = text.slice(Math.max(0, index - contextLength), index)
        this.leaks.push({ kind, where, context: `${masked(before)}[…]` })
      }
  }
}

/** Nothing else of the kind, and on one line. */
function masked(text: string): string {
  return kinds
    .reduce((rest, [, pattern]) => rest.replaceAll(pattern, '[…]'), text)
    .replaceAll(/[^\x20-\x7e…]/g, '·')
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`)
}
