import { parseRepositoryName } from '../../src/storage/reference.ts'
import { HttpRegistries, type HttpRegistriesOptions } from '../../src/storage/remote/http-registries.ts'
import type { HttpRegistry } from '../../src/storage/remote/http-registry.ts'
import type { HttpRepository } from '../../src/storage/remote/http-repository.ts'
import type { RemoteOptions, RemoteRequest } from '../../src/storage/remote/remote-registries.ts'
import { type Script, type ScriptedServer, serveScript } from './scripted-server.ts'

export interface ScriptedRemote extends AsyncDisposable {
  readonly server: ScriptedServer
  readonly registry: HttpRegistry
  /** `team/app` of it. */
  readonly repository: HttpRepository
  /** What was waited for, in milliseconds: nothing is. */
  readonly pauses: number[]
  /** `METHOD what status`, as the observer was told. */
  readonly told: string[]
  readonly requests: RemoteRequest[]
}

export const team = parseRepositoryName('team/app')

/** A registry that does what a test says, as our client sees it. */
export async function scriptedRemote(
  script: Script,
  options: RemoteOptions = {},
  more: HttpRegistriesOptions = {},
): Promise<ScriptedRemote> {
  const stack = new AsyncDisposableStack()
  const server = stack.use(await serveScript(script))
  const pauses: number[] = []
  const requests: RemoteRequest[] = []
  const sleep = async (ms: number): Promise<void> => {
    pauses.push(ms)
    await new Promise(resolve => setImmediate(resolve))
  }
  const registries = stack.use(new HttpRegistries({ sleep, ...more }))
  const traffic = { request: (one: RemoteRequest) => void requests.push(one), bytes: () => {} }
  const registry = registries.open(server.host, { traffic, ...options })
  return {
    server,
    registry,
    repository: registry.repository(team),
    pauses,
    requests,
    get told() {
      return requests.map(({ method, what, status }) => `${method} ${what} ${status}`)
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
