/** `varve serve` that is started before its database. */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { type PostgresTestServer, startPostgres } from '../support/postgres.ts'
import { skipWithout } from '../support/programs.ts'
import { serveRegistry } from '../support/served-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { varveProgram } from '../support/varve.ts'
import { writeFile } from 'node:fs/promises'

type Waiting = ChildProcessByStdio<null, Readable, Readable>

describe('A registry whose database is down', { skip: await skipWithout('postgres') }, () => {
  let database: PostgresTestServer
  let directory: TemporaryDirectory
  let url: string
  before(async () => {
    directory = await temporaryDirectory()
    database = await startPostgres()
    url = await database.createDatabase()
    await database.stopServer()
  })
  after(async () => {
    await database[Symbol.asyncDispose]()
    await directory.remove()
  })

  async function configFile(startWaitSeconds: number, workers = 1): Promise<string> {
    const path = join(directory.path, `${startWaitSeconds}-${workers}.yaml`)
    const settings = { database: { url, startWaitSeconds }, registry: { workers } }
    await writeFile(path, JSON.stringify(settings), { mode: 0o600 })
    return path
  }

  async function serve(config: string): Promise<Waiting> {
    const addresses = ['--address', '127.0.0.1:0', '--metrics-address', 'off']
    return spawn(varveProgram, ['serve', '--data', directory.path, '--config', config, ...addresses], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  it('says that it waits, and ends with one sentence when it has waited long enough', async () => {
    const child = await serve(await configFile(1))
    const [log, error, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ])
    assert.equal(code, 6)
    assert.match(error, /^varve: The database \S+ cannot be used: nothing listens there; [^\n]+\.\n$/)
    const waits = log
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    assert.ok(waits.length >= 2)
    for (const { level, message, reason } of waits) {
      assert.deepEqual([level, message], ['warn', 'waiting for the database'])
      assert.match(String(reason), /nothing listens there/)
    }
  })

  it('ends at once when it is told to', async () => {
    const child = await serve(await configFile(3600))
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    const [error, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
    assert.deepEqual([code, error], [130, 'varve: interrupted\n'])
  })

  for (const workers of [1, 2])
    it(`serves as soon as it is there (workers: ${workers})`, async () => {
      await database.stopServer()
      const starting = serveRegistry(directory.path, '--config', await configFile(3600, workers))
      await database.startServer()
      await using registry = await starting
      assert.equal((await fetch(`${registry.url}/v2/`)).status, 200)
      assert.equal(await registry.stop(), 0)
    })
})
