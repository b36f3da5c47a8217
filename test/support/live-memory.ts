import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * How much more JavaScript holds than at the beginning: objects, and the memory of chunks. Garbage does not count. How much of
 * that lies about is the collector's choice and the machine's, and the size of a process tells of both.
 */
export class LiveMemory {
  readonly #before = liveBytes()
  #most = 0

  /** To be called wherever much may be held; takes some milliseconds. */
  look(): void {
    this.#most = Math.max(this.#most, liveBytes() - this.#before)
  }

  /** Looks a last time. */
  assertBelow(bytes: number): void {
    this.look()
    assert.ok(this.#most < bytes, `held ${this.#most} bytes more, not less than ${bytes}`)
  }

  /** Hands on what comes, and looks before each `every`-th piece. */
  async *during<T>(pieces: Iterable<T> | AsyncIterable<T>, every: number): AsyncGenerator<T> {
    let count = 0
    for await (const piece of pieces) {
      if (count++ % every === 0) this.look()
      yield piece
    }
  }
}

function liveBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

let collector: (() => void) | undefined

/** All of it, whether Node was started with an option for that or not. */
export function collectGarbage(): void {
  collector ??= findCollector()
  collector()
}

function findCollector(): () => void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('globalThis.gc')
  assert.ok(typeof collect === 'function', 'this Node has no collector to call')
  return () => void collect()
}
