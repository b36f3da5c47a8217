import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

type Call = (...args: unknown[]) => unknown

/**
 * Counts this process's synchronous file system calls, everybody's, from its making until it is disposed. Work that
 * must not grow faster than its input can be compared with it, where time would depend on the machine.
 */
export class CountedCalls implements Disposable {
  readonly #calls = new Map<string, number>()
  readonly #restore: (() => void)[] = []
  #listed = 0

  constructor() {
    // What the module exports can be replaced, and `import { … }` of others follows.
    const calls = fs as unknown as Record<string, unknown>
    for (const name of Object.keys(calls).filter(key => key.endsWith('Sync'))) {
      const original = calls[name]
      if (typeof original !== 'function') continue
      calls[name] = (...args: unknown[]): unknown => {
        this.#calls.set(name, (this.#calls.get(name) ?? 0) + 1)
        const result = (original as Call).apply(fs, args)
        if (name === 'readdirSync' && Array.isArray(result)) this.#listed += result.length
        return result
      }
      this.#restore.push(() => {
        calls[name] = original
      })
    }
    syncBuiltinESMExports()
  }

  get total(): number {
    return [...this.#calls.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Names that were read from directories. */
  get listed(): number {
    return this.#listed
  }

  /** For people: each call with how often it was made, the most frequent first. */
  toString(): string {
    const frequent = [...this.#calls].sort(([, a], [, b]) => b - a)
    return frequent.map(([name, count]) => `${count} ${name}`).join(', ')
  }

  [Symbol.dispose](): void {
    for (const restore of this.#restore) restore()
    syncBuiltinESMExports()
  }
}
