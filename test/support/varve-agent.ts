import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { keepForScan } from './test-logs.ts'
import { varveProgram } from './varve.ts'

/** `varve agent` as a process of its own. */
export interface VarveAgent {
  readonly socket: string
  /** `https://host:port`, when it is configured. */
  readonly url: string | undefined
  /** All that it has logged so far. */
  log(): string
  /** Asks it to stop. Answers its exit code. */
  stop(): Promise<number | null>
}

/** @throws Error with what it printed when it does not come up. */
export async function startVarveAgent(args: readonly string[]): Promise<VarveAgent> {
  const child = spawn(varveProgram, ['agent', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const printed: string[] = []
  const listening = Promise.withResolvers<{ socket: string; url?: string }>()
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', line => {
      printed.push(line)
      keepForScan(line)
      if (line.includes('"agent is listening"'))
        listening.resolve(JSON.parse(line) as { socket: string; url?: string })
    })
  const ended = once(child, 'exit') as Promise<[number | null]>
  ended.then(
    () => listening.reject(new Error(`varve agent ended:\n${printed.join('\n')}`)),
    (error: unknown) => listening.reject(error as Error),
  )
  const { socket, url } = await listening.promise
  return {
    socket,
    url,
    log: () => printed.join('\n'),
    stop: async () => {
      child.kill('SIGINT')
      const [code] = await ended
      return code
    },
  }
}
