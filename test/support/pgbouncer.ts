import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { daemonDirectory, startDaemon } from './child-daemon.ts'
import { onFreePort } from './free-port.ts'
import { serverUser } from './postgres.ts'

/** A pgbouncer in front of a PostgreSQL. Suites ask `skipWithout('pgbouncer')` first. */
export interface PgBouncer extends AsyncDisposable {
  /** The same database through it. @param url as PostgresTestServer gives it. */
  through(url: string): string
}

export interface PgBouncerOptions {
  readonly mode: 'session' | 'transaction' | 'statement'
  /** Further lines of `[pgbouncer]`, such as `{ max_client_conn: '5' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

/** @param url of any database of the server, of the user whose connections it shares. */
export async function startPgBouncer(
  url: string,
  { mode, settings = {} }: PgBouncerOptions,
): Promise<PgBouncer> {
  const { username, password, hostname, port: serverPort } = new URL(url)
  const directory = await daemonDirectory('pgbouncer')
  const user = await serverUser()
  return await onFreePort(async port => {
    const users = join(directory, 'users')
    const config = join(directory, 'pgbouncer.ini')
    await writeFile(users, `"${username}" "${password}"\n`)
    const lines = Object.entries({
      listen_addr: '127.0.0.1',
      listen_port: String(port),
      unix_socket_dir: '',
      auth_type: 'scram-sha-256',
      auth_file: users,
      pool_mode: mode,
      // Fewer than clients, so that a transaction does not come to the connection of the one before by chance.
      default_pool_size: '3',
      ...settings,
    }).map(([name, value]) => `${name} = ${value}\n`)
    await writeFile(
      config,
      `[databases]\n* = host=${hostname} port=${serverPort}\n\n[pgbouncer]\n${lines.join('')}`,
    )
    if (user !== undefined)
      for (const path of [directory, users, config]) await chown(path, user.uid, user.gid)
    const through = (target: string): string => {
      const changed = new URL(target)
      changed.port = String(port)
      return changed.href
    }
    const daemon = await startDaemon(directory, {
      program: 'pgbouncer',
      args: ['--quiet', config],
      user,
      // At SIGTERM it ends at once; at SIGINT it would wait for its clients.
      ask: () => answers(through(url)),
    })
    const stop = (): Promise<void> => daemon.stop()
    return { through, [Symbol.asyncDispose]: stop }
  })
}

async function answers(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('select 1')
  } finally {
    await client.end()
  }
}
