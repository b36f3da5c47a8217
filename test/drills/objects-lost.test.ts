import assert from 'node:assert/strict'
import { cp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { createMachine, type Machine, pushSome, type RunningMachine } from '../support/drill.ts'

interface Reconciled {
  readonly missing: number
  readonly corrupt: number
  readonly strays: number
  readonly healed: number
}

/** What the restore of a file system does to a bucket: all of it is that of an earlier day. */
class Snapshots {
  readonly #objects: string
  #count = 0

  constructor({ data }: Machine) {
    this.#objects = join(data, 'registry', 'objects')
  }

  async take(): Promise<string> {
    this.#count += 1
    const copy = `${this.#objects}-${this.#count}`
    await cp(this.#objects, copy, { recursive: true })
    return copy
  }

  /** @param keepsBackups whether backups, as in a place of their own, stay. */
  async putBack(copy: string, keepsBackups = false): Promise<void> {
    const now = `${this.#objects}-now`
    await rename(this.#objects, now)
    await cp(copy, this.#objects, { recursive: true })
    if (keepsBackups)
      await cp(join(now, 'backups'), join(this.#objects, 'backups'), { recursive: true, force: true })
    await rm(now, { recursive: true })
  }
}

/** Nothing that is served names something that is not. Answers how many blobs are not. */
async function notServed({ pusher }: RunningMachine): Promise<number> {
  let missing = 0
  for (const repository of await pusher.repositories())
    for (const tag of await pusher.tags(repository)) {
      const manifest = await pusher.getManifest(repository, tag)
      assert.equal(manifest.status, 200)
      const { layers = [] } = JSON.parse(manifest.bytes.toString()) as { layers?: { digest: string }[] }
      for (const { digest } of layers) {
        const path = `/v2/${repository}/blobs/${digest}`
        const [head, get] = [await pusher.client.send('HEAD', path), await pusher.client.send('GET', path)]
        assert.equal(head.status, get.status, 'what HEAD promises, GET keeps')
        if (get.status === 404) missing += 1
        else assert.equal(get.status, 200)
      }
    }
  return missing
}

describe('Drill: the objects are of an earlier day', () => {
  const stack = new AsyncDisposableStack()
  after(() => stack.disposeAsync())

  it('the database is left: exactly what is gone is not served, and pushing it again heals it', async () => {
    const machine = await createMachine(stack)
    const snapshots = new Snapshots(machine)
    const layer = Buffer.from('pushed again later')
    let early: Map<string, string>
    let day: string
    {
      await using registry = await machine.serve()
      await pushSome(registry.pusher, 'early')
      early = await registry.pusher.inventory()
      day = await snapshots.take()
      await pushSome(registry.pusher, 'late')
      await registry.pusher.image('acme/app', 'again', { layers: [layer] })
    }
    await snapshots.putBack(day)
    const { missing, corrupt, strays } = (await machine.json('reconcile')) as unknown as Reconciled
    // Two configs and four layers, of which two are shared; and one layer and one config.
    assert.deepEqual([missing, corrupt, strays], [8 - 0, 0, 0])
    await using registry = await machine.serve()
    assert.equal(await notServed(registry), 5)
    for (const [at, what] of early) {
      const [repository = '', reference = ''] = at.split(' ')
      if (what.startsWith('blob')) continue
      assert.equal((await registry.pusher.getManifest(repository, reference)).status, 200)
    }
    await registry.pusher.image('acme/app', 'again', { layers: [layer] })
    assert.equal(await notServed(registry), 4)
    assert.match(await machine.ok('scrub', 'faults'), /missing/)
  })

  it('and the database of another day: the objects are older', async () => {
    const machine = await createMachine(stack)
    const snapshots = new Snapshots(machine)
    let first: Map<string, string>
    let day: string
    {
      await using registry = await machine.serve()
      await pushSome(registry.pusher, 'monday')
      first = await registry.pusher.inventory()
      day = await snapshots.take()
      await pushSome(registry.pusher, 'tuesday')
      await machine.ok('backup')
      await pushSome(registry.pusher, 'wednesday')
    }
    await snapshots.putBack(day, true)
    await rm(machine.sqlite)
    const { reconciled } = (await machine.json('restore')) as unknown as { reconciled: Reconciled }
    assert.deepEqual([reconciled.missing, reconciled.strays], [6, 0])
    await using registry = await machine.serve()
    assert.equal(await notServed(registry), 4)
    assert.deepEqual(
      (await registry.pusher.tags('acme/app')).filter(tag => tag.startsWith('wednesday')),
      [],
    )
    for (const at of first.keys()) {
      const [repository = '', reference = ''] = at.split(' ')
      const path = reference.includes(':') ? 'blobs' : 'manifests'
      if (path === 'blobs') continue
      assert.equal((await registry.pusher.getManifest(repository, reference)).status, 200)
    }
    await pushSome(registry.pusher, 'wednesday')
  })

  it('and the database of another day: the database is older', async () => {
    const machine = await createMachine(stack)
    const snapshots = new Snapshots(machine)
    let monday: Map<string, string>
    let day: string
    {
      await using registry = await machine.serve()
      await pushSome(registry.pusher, 'monday')
      monday = await registry.pusher.inventory()
      await machine.ok('backup')
      await pushSome(registry.pusher, 'tuesday')
      day = await snapshots.take()
      await pushSome(registry.pusher, 'wednesday')
    }
    await snapshots.putBack(day)
    await rm(machine.sqlite)
    const { reconciled } = (await machine.json('restore')) as unknown as { reconciled: Reconciled }
    assert.deepEqual([reconciled.missing, reconciled.strays], [0, 6])
    await using registry = await machine.serve()
    assert.deepEqual(await registry.pusher.inventory(), monday)
  })

  it('a blob that was collected and pushed again after the backup is found under its new object', async () => {
    const machine = await createMachine(stack, {
      more: {
        collect: {
          graceHours: 0.0000001,
          undeleteHours: 0.0000001,
          objectDelayMinutes: 0,
          intervalSeconds: 3600,
        },
      },
    })
    const layer = Buffer.from('comes and goes')
    let before: Map<string, string>
    {
      await using registry = await machine.serve()
      const { digest } = await registry.pusher.image('acme/app', 'one', { layers: [layer] })
      before = await registry.pusher.inventory()
      await machine.ok('backup')
      const { status } = await registry.pusher.client.send('DELETE', `/v2/acme/app/manifests/${digest}`)
      assert.equal(status, 202)
      // Until its object is gone.
      for (let round = 0; round < 5; round += 1) await machine.ok('gc', 'run')
      await registry.pusher.image('acme/app', 'two', { layers: [layer] })
    }
    await rm(machine.sqlite)
    const { reconciled } = (await machine.json('restore')) as unknown as { reconciled: Reconciled }
    assert.equal(reconciled.missing, reconciled.healed)
    assert.ok(reconciled.healed >= 1, JSON.stringify(reconciled))
    await using registry = await machine.serve()
    assert.deepEqual(await registry.pusher.inventory(), before)
  })
})
