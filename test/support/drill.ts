import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { ImagePusher, type PushedManifest } from './image-pusher.ts'
import { type Ran, runVarve } from './run-varve.ts'
import type { S3TestServer } from './s3-server.ts'
import { startServe } from './serve.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { varveProgram } from './varve.ts'

export interface MachineSettings {
  /** A directory of its own unless given. */
  readonly data?: string | undefined
  /** PostgreSQL; a SQLite file below `data` unless given. */
  readonly database?: string | undefined
  /** Objects are below `data` unless given. */
  readonly s3?: S3TestServer | undefined
  /** More of the configuration. */
  readonly more?: object | undefined
}

/** Where a registry runs, with a configuration of its own. */
export interface Machine {
  readonly data: string
  /** `varve.db`, when the database is there. */
  readonly sqlite: string
  readonly configFile: string
  /** Starts the registry. */
  serve(): Promise<RunningMachine>
  /** Runs a command; fails unless it succeeds. Answers its standard output. */
  ok(...args: readonly string[]): Promise<string>
  /** The same, as JSON. */
  json(...args: readonly string[]): Promise<Record<string, unknown>>
  run(...args: readonly string[]): Promise<Ran>
}

export interface RunningMachine extends AsyncDisposable {
  readonly url: string
  readonly pusher: ImagePusher
  stop(): Promise<void>
}

export async function createMachine(
  stack: AsyncDisposableStack,
  { data: given, database, s3, more = {} }: MachineSettings = {},
): Promise<Machine> {
  const directory = stack.use(await temporaryDirectory())
  const data = given ?? join(directory.path, 'data')
  await mkdir(data, { recursive: true })
  const configFile = join(directory.path, 'varve.yaml')
  const storage = s3 && {
    driver: 's3',
    s3: {
      bucket: s3.bucket,
      endpoint: s3.endpoint,
      region: s3.region,
      accessKeyId: s3.credentials.accessKeyId,
      secretAccessKey: s3.credentials.secretAccessKey,
    },
  }
  await writeFile(
    configFile,
    stringify({
      data,
      auth: { mode: 'none' },
      ...(storage && { storage }),
      ...(database !== undefined && { database: { url: database } }),
      ...more,
    }),
  )
  const run = (...args: readonly string[]) => runVarve([...args, '--config', configFile])
  const ok = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...args)
    assert.equal(code, 0, `varve ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  return {
    data,
    sqlite: join(data, 'registry', 'varve.db'),
    configFile,
    run,
    ok,
    json: async (...args) => JSON.parse(await ok(...args, '--json')) as Record<string, unknown>,
    serve: async () => {
      const serving = await startServe(
        varveProgram,
        ...['serve', '--config', configFile, '--address', '127.0.0.1:0', '--metrics-address', 'off'],
      )
      let isStopped = false
      const stop = async (): Promise<void> => {
        if (isStopped) return
        isStopped = true
        assert.equal(await serving.stop(), 0)
      }
      return { url: serving.url, pusher: new ImagePusher(serving.url), stop, [Symbol.asyncDispose]: stop }
    },
  }
}

/** Pushes images with layers of their own, one that shares them, and an index. Answers the images, by their tags. */
export async function pushSome(
  pusher: ImagePusher,
  mark: string,
  repository = 'acme/app',
): Promise<readonly PushedManifest[]> {
  const shared = Buffer.from(`shared by ${repository}`)
  const images: PushedManifest[] = []
  for (const name of ['one', 'two'])
    images.push(
      await pusher.image(repository, `${mark}-${name}`, {
        layers: [shared, Buffer.from(`${mark} ${name}`), randomBytes(5000)],
        config: Buffer.from(JSON.stringify({ mark, name })),
      }),
    )
  await pusher.index(repository, `${mark}-index`, images)
  return images
}
