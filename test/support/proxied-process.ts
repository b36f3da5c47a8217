import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ProxiedRegistryOptions } from './proxied-registry.ts'

export interface ProxiedProcess extends AsyncDisposable {
  readonly url: string
  /** The most memory that it has used since it started, beyond what it used then. */
  mostBytes(): Promise<number>
  /** SIGKILL. */
  kill(): Promise<void>
}

/** A proxied registry in a process of its own. */
export async function startProxiedProcess(
  directory: string,
  upstreamPort: number,
  options: Pick<ProxiedRegistryOptions, 'settings' | 'blobSettings'> = {},
): Promise<ProxiedProcess> {
  const program = fileURLToPath(new URL('proxied-child.ts', import.meta.url))
  const child = fork(program, [directory, String(upstreamPort), JSON.stringify(options)], {
    execArgv: process.execArgv.filter(argument => !argument.startsWith('--test')),
  })
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const [started] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the registry has ended with ${code}`)
    }),
  ])) as [{ url: string }]
  return {
    url: started.url,
    mostBytes: async () => {
      child.send('how much?')
      const [{ mostBytes }] = (await once(child, 'message')) as [{ mostBytes: number }]
      return mostBytes
    },
    kill,
    [Symbol.asyncDispose]: kill,
  }
}
