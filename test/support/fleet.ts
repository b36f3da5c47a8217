import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { S3TestServer } from './s3-server.ts'
import { type ServedRegistry, serveRegistry } from './served-registry.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** Replicas of one registry: processes that share nothing but a database and a bucket. */
export interface Fleet extends AsyncDisposable {
  /** URLs of those that run. */
  urls(): readonly string[]
  /** @throws Error when it does not run. */
  replica(index: number): ServedRegistry
  /** Ends it as a crash does, and resolves when it is gone. */
  kill(index: number): Promise<void>
  /** Starts what does not run, on another port. */
  restart(index: number): Promise<void>
  /** What all of them have logged, those too that were killed. */
  lines(): readonly Record<string, unknown>[]
}

export interface FleetOptions {
  readonly replicas: number
  readonly databaseUrl: string
  readonly objects: S3TestServer
  /** Settings of `registry`, such as `requireReferences`. */
  readonly registry?: Readonly<Record<string, unknown>> | undefined
  /** Settings of `storage`, such as `verifyReads`. */
  readonly storage?: Readonly<Record<string, unknown>> | undefined
  /** Further sections, such as `upstreams`. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined
}

/** Parts of the smallest size that S3 takes. */
export const fleetPartBytes = 5 * 1024 * 1024

export async function startFleet({
  replicas,
  databaseUrl,
  objects: { endpoint, region, bucket, credentials },
  registry,
  storage,
  settings: sections,
}: FleetOptions): Promise<Fleet> {
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await temporaryDirectory())
  const config = join(directory.path, 'varve.yaml')
  const { accessKeyId, secretAccessKey } = credentials
  const settings = {
    ...sections,
    registry: { partBytes: fleetPartBytes, drainSeconds: 1, ...registry },
    storage: { ...storage, driver: 's3', s3: { endpoint, region, bucket, accessKeyId, secretAccessKey } },
    database: { url: databaseUrl },
  }
  await writeFile(config, stringify(settings), { mode: 0o600 })
  const running: (ServedRegistry | undefined)[] = Array.from({ length: replicas }, () => undefined)
  const earlier: ServedRegistry[] = []
  const start = async (index: number) => {
    running[index] ??= await serveRegistry(directory.path, '--config', config)
  }
  stack.defer(async () => {
    await Promise.all(running.map(async one => await one?.[Symbol.asyncDispose]()))
  })
  // One after the other: the first one makes the tables, and two cores are all that there may be.
  for (let index = 0; index < replicas; index += 1) await start(index)
  const owned = stack.move()
  return {
    urls: () => running.flatMap(one => (one === undefined ? [] : [one.url])),
    replica: index => {
      const one = running[index]
      if (one === undefined) throw new Error(`the replica ${index} does not run`)
      return one
    },
    kill: async index => {
      const one = running[index]
      if (one === undefined) return
      running[index] = undefined
      earlier.push(one)
      const gone = once(one.process, 'exit')
      one.process.kill('SIGKILL')
      await gone
    },
    restart: start,
    lines: () => [...earlier, ...running].flatMap(one => one?.lines() ?? []),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
