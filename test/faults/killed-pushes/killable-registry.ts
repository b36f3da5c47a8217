import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { keepForScan } from '../../support/test-logs.ts'
import { varveProgram } from '../../support/varve.ts'

/** `varve serve` as a process of its own, on data that outlive it. */
export class KillableRegistry {
  readonly #data: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  #ready = Promise.withResolvers<string>()
  /** Lines of its log that tell of a failure of its own. */
  readonly failures: string[] = []
  kills = 0

  /** @param args more flags. */
  constructor(data: string, ...args: readonly string[]) {
    this.#data = data
    this.#args = args
  }

  /** The URL of the process that runs, or of the next one when none does. */
  get url(): Promise<string> {
    return this.#ready.promise
  }

  /** Resolves when it answers. @throws Error with what it printed when it does not come up. */
  async start(): Promise<void> {
    const args = ['serve', '--address', '127.0.0.1:0', '--data', this.#data, ...this.#args]
    const child = spawn(varveProgram, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        VARVE_REGISTRY_METRICS_ADDRESS: '127.0.0.1:0',
        VARVE_REGISTRY_PART_BYTES: String(5 * 1024 * 1024),
      },
    })
    this.#child = child
    const printed: string[] = []
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', line => {
        printed.push(line)
        keepForScan(line)
        if (/"level":"(?:error|fatal)"/.test(line)) this.failures.push(line)
        const address = /"address":"([^"]+)"[^}]*"registry is listening"/.exec(line)?.[1]
        if (address !== undefined) this.#ready.resolve(`http://${address}`)
      })
    const ended = once(child, 'exit').then(() => {
      throw new Error(`varve serve ended:\n${printed.join('\n')}`)
    })
    await Promise.race([this.url, ended])
    ended.catch(() => undefined)
  }

  /** Ends the process as a crash does, and resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    this.#ready = Promise.withResolvers()
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    this.kills += 1
  }
}
