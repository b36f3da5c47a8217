import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** A registry as a process of its own. */
export interface RunningServe {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** Asks it to stop. Answers its exit code. */
  stop(): Promise<number | null>
}

/** Runs a command that ends in `serve` and its flags. @throws Error with what it printed when it does not come up. */
export async function startServe(program: string, ...args: readonly string[]): Promise<RunningServe> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit') as Promise<[number | null]>
  const printed: string[] = []
  const { promise: listening, resolve, reject } = Promise.withResolvers<string>()
  for (const input of [child.stdout, child.stderr])
    createInterface({ input }).on('line', line => {
      printed.push(line)
      const address = /"address":"([^"]+)".*"message":"registry is listening"/.exec(line)?.[1]
      if (address !== undefined) resolve(address)
    })
  ended.then(() => reject(new Error(`${program} ended:\n${printed.join('\n')}`)), reject)
  return {
    url: `http://${await listening}`,
    stop: async () => {
      child.kill('SIGTERM')
      const [code] = await ended
      return code
    },
  }
}
