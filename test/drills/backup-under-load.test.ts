import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { createMachine, type Machine, pushSome } from '../support/drill.ts'
import { ImagePusher } from '../support/image-pusher.ts'
import { type PostgresTestServer, startPostgres } from '../support/postgres.ts'
import { skipWithout } from '../support/programs.ts'
import { runVarve } from '../support/run-varve.ts'

const withoutPostgres = await skipWithout('postgres')

describe('Drill: a backup while others are at work', () => {
  const stack = new AsyncDisposableStack()
  let postgres: PostgresTestServer | undefined
  before(async () => {
    if (withoutPostgres === false) postgres = stack.use(await startPostgres())
  })
  after(() => stack.disposeAsync())

  // Objects of what is collected after the moment of the backup are still there when it is restored, as an hour later they
  // are with the default delay.
  const busy = {
    collect: { graceHours: 0.001, undeleteHours: 0.001, objectDelayMinutes: 60, intervalSeconds: 1 },
  }

  /** What was acknowledged when the backup began is in it, and whatever is in it is whole. */
  async function drill(machine: Machine, restored: () => Promise<Machine>): Promise<void> {
    const acknowledged = new Set<string>()
    let mustBeThere: ReadonlySet<string> = new Set()
    {
      await using registry = await machine.serve()
      const stopping = new AbortController()
      const clients = Array.from({ length: 8 }, async (_, client) => {
        const pusher = new ImagePusher(registry.url)
        for (let count = 0; !stopping.signal.aborted; count += 1) {
          const repository = `acme/app-${client % 4}`
          const tag = `c${client}-${count}`
          const { digest } = await pusher.image(repository, tag, { layers: [randomBytes(2000)] })
          acknowledged.add(`${repository} ${tag}`)
          if (count % 3 !== 2) continue
          acknowledged.delete(`${repository} ${tag}`)
          await pusher.client.send('DELETE', `/v2/${repository}/manifests/${digest}`)
        }
      })
      await sleep(1500)
      // A slow machine needs longer for some.
      while (acknowledged.size <= 20) await sleep(50)
      for (let round = 0; round < 2; round += 1) {
        mustBeThere = new Set(acknowledged)
        await machine.ok('backup')
      }
      stopping.abort()
      await Promise.all(clients)
    }
    const second = await restored()
    const { reconciled } = (await second.json('restore')) as { reconciled: { missing: number } }
    assert.equal(reconciled.missing, 0)
    await using registry = await second.serve()
    // Each tag's manifest is complete: all of it is pulled.
    const found = new Set((await registry.pusher.inventory()).keys())
    assert.ok(mustBeThere.size > 10, String(mustBeThere.size))
    for (const tag of mustBeThere) assert.ok(found.has(tag), `${tag} was acknowledged before the backup`)
  }

  it('SQLite, in two processes', async () => {
    const machine = await createMachine(stack, { more: { ...busy, registry: { workers: 2 } } })
    await drill(machine, async () => {
      for (const suffix of ['', '-wal', '-shm']) await rm(`${machine.sqlite}${suffix}`, { force: true })
      return machine
    })
  })

  it('PostgreSQL', { skip: withoutPostgres }, async () => {
    if (postgres === undefined) return
    const machine = await createMachine(stack, { database: postgres.url, more: busy })
    const { data } = machine
    const database = await postgres.createDatabase()
    await drill(machine, () => createMachine(stack, { data, database }))
  })
})

describe('Drill: killed in the middle', () => {
  const stack = new AsyncDisposableStack()
  after(() => stack.disposeAsync())

  /** Runs a command that is killed after a while. Answers whether it had ended before. */
  async function killed(afterMs: number, ...args: readonly string[]): Promise<boolean> {
    const { code } = await runVarve(args, (child: ChildProcess) => {
      setTimeout(() => child.kill('SIGKILL'), afterMs)
    })
    return code === 0
  }

  it('a backup: the next one is made, and nothing is left behind on the disk', async () => {
    const machine = await createMachine(stack)
    {
      await using registry = await machine.serve()
      await pushSome(registry.pusher, 'early')
    }
    let whole = 0
    for (const afterMs of [250, 350, 450, 550, 650, 750, 900])
      if (await killed(afterMs, 'backup', '--config', machine.configFile)) whole += 1
    const list = async () => (await machine.json('backup', 'list'))['backups'] as { id: string }[]
    // Those that have a record are whole, whoever was killed after it was written.
    const listed = await list()
    assert.ok(listed.length >= whole)
    for (const { id } of listed) await machine.ok('backup', 'verify', id)
    // The lease of whoever was killed runs out.
    const made = await untilOk(machine, 'backup')
    assert.match(made, /^backup /)
    assert.equal((await list()).length, listed.length + 1)
    assert.deepEqual(await leftBehind(machine), [])
  })

  it('a restore: nothing has changed, or all of it has', async () => {
    const machine = await createMachine(stack)
    {
      await using registry = await machine.serve()
      await pushSome(registry.pusher, 'early')
      await machine.ok('backup')
      await pushSome(registry.pusher, 'late')
    }
    for (const afterMs of [300, 400, 500, 600, 700, 800, 1000]) {
      const args = ['restore', '--replace', '--config', machine.configFile]
      await killed(afterMs, ...args)
      await using registry = await machine.serve()
      const tags = await registry.pusher.tags('acme/app')
      assert.ok(tags.length === 3 || tags.length === 6, tags.join())
      await registry.pusher.inventory()
    }
    await machine.ok('restore', '--replace')
    assert.deepEqual(await leftBehind(machine), [])
    await using registry = await machine.serve()
    assert.equal((await registry.pusher.tags('acme/app')).length, 3)
  })

  async function leftBehind({ sqlite }: Machine): Promise<string[]> {
    return (await readdir(dirname(sqlite))).filter(name => /-snapshot-|-restore-/.test(name))
  }

  async function untilOk(machine: Machine, ...args: readonly string[]): Promise<string> {
    for (;;) {
      const { code, stdout, stderr } = await machine.run(...args)
      if (code === 0) return stdout
      assert.match(stderr, /Another process makes a backup/)
      await sleep(5_000)
    }
  }
})

describe('Drill: what is none, or too large', () => {
  const stack = new AsyncDisposableStack()
  after(() => stack.disposeAsync())

  it('is refused in one sentence, and changes nothing', async () => {
    const machine = await createMachine(stack)
    {
      await using registry = await machine.serve()
      await pushSome(registry.pusher, 'early')
    }
    const { id } = await machine.json('backup', 'run')
    const file = join(machine.data, 'registry', 'objects', 'backups', String(id), 'data')
    const before = await readdir(join(machine.data, 'registry'))
    for (const path of [machine.configFile, machine.sqlite, '/dev/null', join(machine.data, 'none')]) {
      const { code, stderr, stdout } = await machine.run('restore', path, '--replace')
      assert.notEqual(code, 0, path)
      assert.equal(stdout, '')
      assert.match(stderr, /^varve: [A-Z][^\n]+\.\n$/, path)
    }
    assert.deepEqual(await readdir(join(machine.data, 'registry')), before)
    assert.match(await machine.ok('restore', file, '--replace'), /^restored /)
  })

  it('a registry that runs is not restored', async () => {
    const machine = await createMachine(stack)
    await using registry = await machine.serve()
    await pushSome(registry.pusher, 'early')
    await machine.ok('backup')
    const { code, stderr } = await machine.run('restore', '--replace')
    assert.equal(code, 5)
    assert.match(stderr, /open in another process; stop the registry/)
    await registry.pusher.inventory()
  })
})
