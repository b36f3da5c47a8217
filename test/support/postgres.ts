import { randomBytes } from 'node:crypto'
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pg from 'pg'
import type { Pair } from './certificates.ts'
import { type DaemonProcess, type DaemonUser, daemonDirectory, startDaemonProcess } from './child-daemon.ts'
import { onFreePort } from './free-port.ts'
import { exec } from './process.ts'
import { ensurePrograms, pathOf } from './programs.ts'

/** A PostgreSQL with a cluster of its own. Suites ask `skipWithout('postgres')` first. */
export interface PostgresTestServer extends AsyncDisposable {
  /** `postgres://USER:PASSWORD@127.0.0.1:PORT/varve`, of a superuser; an empty database that sorts by bytes (C.UTF-8). */
  readonly url: string
  /** An empty database. Answers its URL, of the same user. */
  createDatabase(options?: { readonly locale?: DatabaseLocale }): Promise<string>
  /** Ends it in good order, cutting the connections that there are. Does nothing when it is down. */
  stopServer(): Promise<void>
  /** Starts what has been stopped or killed, on the same port, and waits until it answers. */
  startServer(): Promise<void>
  /** As a power cut: every process of it at once, nothing written out. */
  kill(): Promise<void>
}

/** `en-US` sorts "a" < "B" < "c", as no byte order does: there a query without `collate "C"` shows itself. */
export type DatabaseLocale = 'C.UTF-8' | 'en-US'

export interface PostgresOptions {
  /** Whether a commit waits for the disk; not by default. */
  readonly durable?: boolean
  /** Where its directory is made; the system's for temporary files unless given. */
  readonly parent?: string
  /** Further arguments of initdb(1). */
  readonly initdb?: readonly string[]
  /** It then takes connections over TLS only. */
  readonly tls?: Pair
  /** Lines of postgresql.conf, for example `{ max_connections: '5' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

/** Starts the newest PostgreSQL that Debian has installed here, in a temporary directory. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresTestServer> {
  await ensurePrograms('postgres')
  const program = await pathOf('postgres')
  if (program === undefined) throw new Error('postgres: not there after its package was installed')
  const directory = await daemonDirectory('postgres', options.parent)
  try {
    const user = await serverUser()
    if (user !== undefined) await chown(directory, user.uid, user.gid)
    const server = new PostgresServer(program, directory, user, randomBytes(12).toString('hex'))
    await server.initialise(options)
    await onFreePort(port => server.startOn(port))
    await server.query(`create database varve ${localeClauses['C.UTF-8']}`)
    return server
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

const localeClauses: Readonly<Record<DatabaseLocale, string>> = {
  'C.UTF-8': "template template0 encoding utf8 locale 'C.UTF-8'",
  'en-US': "template template0 encoding utf8 locale 'C.UTF-8' locale_provider icu icu_locale 'en-US'",
}

/** PostgreSQL and what belongs to it refuse to run as root; Debian's package makes a user for them. */
export async function serverUser(): Promise<DaemonUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const [uid, gid] = await Promise.all(['-u', '-g'].map(flag => exec('id', [flag, 'postgres'])))
  return { uid: Number(uid), gid: Number(gid) }
}

const userName = 'varve'

class PostgresServer implements PostgresTestServer {
  readonly #program: string
  readonly #directory: string
  readonly #user: DaemonUser | undefined
  readonly #password: string
  #port = 0
  #databases = 0
  #hasTls = false
  #running: DaemonProcess | undefined

  constructor(program: string, directory: string, user: DaemonUser | undefined, password: string) {
    this.#program = program
    this.#directory = directory
    this.#user = user
    this.#password = password
  }

  get url(): string {
    return this.#urlOf('varve')
  }

  async createDatabase({ locale = 'en-US' }: { readonly locale?: DatabaseLocale } = {}): Promise<string> {
    this.#databases += 1
    const name = `test_${this.#databases}`
    await this.query(`create database ${name} ${localeClauses[locale]}`)
    return this.#urlOf(name)
  }

  async initialise({ durable = false, initdb = [], tls, settings = {} }: PostgresOptions): Promise<void> {
    const passwordFile = join(this.#directory, 'password')
    await writeFile(passwordFile, this.#password)
    if (this.#user !== undefined) await chown(passwordFile, this.#user.uid, this.#user.gid)
    await this.#runAsUser(join(dirname(this.#program), 'initdb'), [
      `--pgdata=${this.#data}`,
      `--username=${userName}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C.UTF-8',
      '--no-sync',
      '--no-instructions',
      ...initdb,
    ])
    const sockets = join(this.#directory, 'sockets')
    await mkdir(sockets)
    if (this.#user !== undefined) await chown(sockets, this.#user.uid, this.#user.gid)
    const lines = Object.entries({
      listen_addresses: '127.0.0.1',
      unix_socket_directories: sockets,
      // So that nothing of it is outside its directory, should it be killed.
      dynamic_shared_memory_type: 'mmap',
      fsync: durable ? 'on' : 'off',
      ...(tls === undefined ? {} : await this.#prepareTls(tls)),
      ...settings,
    }).map(([name, value]) => `${name} = '${value}'\n`)
    await writeFile(join(this.#data, 'postgresql.auto.conf'), lines)
  }

  async #prepareTls({ cert, key }: Pair): Promise<Readonly<Record<string, string>>> {
    const path = (name: string): string => join(this.#directory, name)
    await writeFile(path('server.crt'), cert)
    await writeFile(path('server.key'), key, { mode: 0o600 })
    // The helper itself does not look at the certificate; suites do.
    await writeFile(path('hba'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n')
    if (this.#user !== undefined) await chown(path('server.key'), this.#user.uid, this.#user.gid)
    this.#hasTls = true
    return {
      ssl: 'on',
      ssl_cert_file: path('server.crt'),
      ssl_key_file: path('server.key'),
      hba_file: path('hba'),
    }
  }

  async startOn(port: number): Promise<void> {
    this.#port = port
    await this.startServer()
  }

  async startServer(): Promise<void> {
    if (this.#running !== undefined) return
    this.#running = await startDaemonProcess(join(this.#directory, 'postgres.log'), {
      program: this.#program,
      args: ['-D', this.#data, '-p', String(this.#port)],
      user: this.#user,
      // "Fast shutdown": SIGTERM would wait until each client has gone.
      stopSignal: 'SIGINT',
      ask: () => this.query('select 1'),
    })
  }

  async stopServer(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.end()
  }

  async kill(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    if (running === undefined) return
    // Stopped first, so that it starts no process after the list of them has been read.
    process.kill(running.pid, 'SIGSTOP')
    const children = await readFile(`/proc/${running.pid}/task/${running.pid}/children`, 'utf8')
    for (const pid of [running.pid, ...children.split(' ').filter(Boolean).map(Number)]) killIfThere(pid)
    await running.end()
  }

  async query(sql: string): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#urlOf('postgres'),
      ...(this.#hasTls ? { ssl: { rejectUnauthorized: false } } : {}),
      connectionTimeoutMillis: 10_000,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query(sql)
    } finally {
      await client.end()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopServer()
    await this.#removeSharedMemory()
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** What is killed leaves its lock behind: a file, and a segment of shared memory which that file names. */
  async #removeSharedMemory(): Promise<void> {
    const lock = await readFile(join(this.#data, 'postmaster.pid'), 'utf8').catch(() => '')
    const segment = lock.split('\n')[6]?.trim().split(/\s+/)[1]
    if (segment !== undefined) await exec('ipcrm', ['--shmem-id', segment]).catch(() => {})
  }

  async #runAsUser(program: string, args: readonly string[]): Promise<void> {
    if (this.#user === undefined) return void (await exec(program, args))
    const { uid, gid } = this.#user
    await exec('setpriv', [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', program, ...args], {
      cwd: this.#directory,
    })
  }

  get #data(): string {
    return join(this.#directory, 'data')
  }

  #urlOf(database: string): string {
    return `postgres://${userName}:${this.#password}@127.0.0.1:${this.#port}/${database}`
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
