import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { access, copyFile, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { cacheDirectory } from './cache-directory.ts'
import { ensureGoToolchain } from './go-toolchain.ts'
import { exec } from './process.ts'
import { withMachineLock } from './programs.ts'

/** How much of a file's content is told, as in go-tar/main.go: a sparse file of a few blocks may claim to be any size. */
export const toldContentBytes = 4 << 20

/** An entry as Go's archive/tar reads it: the fields of its `Header`, bytes in base64. */
export interface GoEntry {
  /** The type's character. */
  readonly Type: string
  readonly Name: string
  readonly Linkname: string
  readonly Mode: number
  readonly Uid: number
  readonly Gid: number
  readonly Size: number
  readonly Seconds: number
  readonly Nanos: number
  readonly Xattrs: Readonly<Record<string, string>>
  /** At most {@link toldContentBytes} of it, holes as zeros. */
  readonly Content: string
}

export interface GoReading {
  readonly Entries: readonly GoEntry[]
  /** Empty when the archive was read to its end. */
  readonly Error: string
}

/** Go's archive/tar, on which containerd, Docker and umoci rest, in a process of its own. */
export class GoTar implements AsyncDisposable {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>

  private constructor(process: ChildProcessWithoutNullStreams) {
    this.#process = process
    this.#lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]()
  }

  /** @throws Error when Go is neither there nor to be had. */
  static async start(): Promise<GoTar> {
    return new GoTar(spawn(await ensureGoTar(), { stdio: ['pipe', 'pipe', 'pipe'] }))
  }

  /** One at a time. */
  async read(archive: Uint8Array): Promise<GoReading> {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(archive.length)
    this.#process.stdin.write(length)
    this.#process.stdin.write(archive)
    const line = await this.#lines.next()
    if (line.done === true) throw new Error("Go's reader has ended")
    return JSON.parse(line.value) as GoReading
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#process, 'exit')
    this.#process.stdin.end()
    await exited
  }
}

/** What `skip` of a suite wants: `false` when the reader can be built, else the reason why not. */
export async function skipWithoutGoTar(): Promise<string | false> {
  try {
    await ensureGoTar()
    return false
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const source = join(import.meta.dirname, 'go-tar/main.go')

async function ensureGoTar(): Promise<string> {
  const version = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 16)
  const program = join(cacheDirectory(), 'go', `go-tar@${version}`)
  await withMachineLock('go', async () => {
    const isThere = await access(program).then(
      () => true,
      () => false,
    )
    if (!isThere) await build(program)
  })
  return program
}

async function build(program: string): Promise<void> {
  const env = await ensureGoToolchain()
  const directory = await mkdtemp(join(tmpdir(), 'varve-go-tar-'))
  try {
    await mkdir(join(program, '..'), { recursive: true })
    await copyFile(source, join(directory, 'main.go'))
    await exec('go', ['mod', 'init', 'gotar'], { env, cwd: directory })
    await exec('go', ['build', '-o', `${program}-new`, '.'], { env, cwd: directory })
    await rename(`${program}-new`, program)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
