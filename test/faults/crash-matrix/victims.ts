import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Change } from '../../fixtures/programs/change-pool.ts'

const program = join(import.meta.dirname, '../../fixtures/programs/change-pool.ts')

/** Processes that do one thing each and may be killed in it. The next one starts while the last is looked into. */
export class Victims implements AsyncDisposable {
  #next = start()

  /** Runs one. Answers whether it was killed. @throws Error with what it printed when it failed by itself. */
  async run(change: Change): Promise<boolean> {
    const child = this.#next
    const ended = once(child, 'exit') as Promise<[number | null, string | null]>
    const said = child.stderr === null ? '' : text(child.stderr)
    child.stdin?.end(JSON.stringify(change))
    const [code, signal] = await ended
    this.#next = start()
    if (code === 0) return false
    if (signal === 'SIGKILL') return true
    throw new Error(`${JSON.stringify(change.work)} ended with ${code ?? signal}: ${await said}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#next, 'exit')
    this.#next.kill('SIGKILL')
    await ended
  }
}

function start(): ChildProcess {
  return spawn(process.execPath, [program], { stdio: ['pipe', 'inherit', 'pipe'] })
}

/** Waits until a file is there. */
export async function untilThere(path: string): Promise<void> {
  while (!existsSync(path)) await sleep(5)
}
