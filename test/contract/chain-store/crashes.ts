import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { ProcessLock } from '../../../src/storage/process-lock.ts'
import type { ChainId } from '../../../src/storage/chain-id.ts'
import { ageLocks } from '../../support/aged-locks.ts'
import { layerOn } from '../../support/fake-layers.ts'
import { buildLayer, type ChainStoreSuite, filesAt, filesIn, onFreshStore, walked } from './suite.ts'

const program = join(import.meta.dirname, '../../fixtures/programs/build-and-wait.ts')
const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')

interface Victim extends AsyncDisposable {
  readonly rootfs: string
  kill(): Promise<void>
}

/** A process of its own that builds at `base` and never ends. */
async function startBuilding(place: readonly string[], base: ChainId | null): Promise<Victim> {
  const child = spawn(process.execPath, [program, ...place, base ?? '-'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const kill = () => end(child)
  for await (const rootfs of createInterface({ input: child.stdout }))
    return { rootfs, kill, [Symbol.asyncDispose]: kill }
  throw new Error(`${program} ended without a word`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** A store may give what it takes over from the dead another random name. */
function withoutIds(names: readonly string[]): string[] {
  return names.map(name => name.replace(/\b[0-9a-f]{16}\b/g, 'ID'))
}

export function crashContract(suite: ChainStoreSuite): void {
  describe('crashes', () => {
    it(
      'builder-killed-between-lock-and-dataset: its lock goes with the next reclaim, and that of a live one stays',
      onFreshStore(suite, async ({ store, reopen, leftovers }) => {
        const locks = join(store.recordsDirectory, '..', 'locks')
        ProcessLock.tryAcquire(join(locks, '0123456789abcdef'))?.release()
        using live = ProcessLock.tryAcquire(join(locks, 'fedcba9876543210'))
        await ageLocks(locks)
        assert.equal(await (await reopen()).reclaim(), 0)
        assert.deepEqual(await leftovers(), ['locks/fedcba9876543210'])
        live?.release()
      }),
    )

    it(
      'stray-lock: one that was just made, and is about to be locked, is left to who made it',
      onFreshStore(suite, async ({ store, reopen, leftovers }) => {
        const lock = join(store.recordsDirectory, '..', 'locks', '0123456789abcdef')
        await writeFile(lock, '')
        await (await reopen()).reclaim()
        assert.deepEqual(await leftovers(), ['locks/0123456789abcdef'])
        await rm(lock)
      }),
    )

    it(
      'reclaims what a killed builder left, and nothing of a live one',
      onFreshStore(suite, async ({ place, reopen, leftovers }) => {
        await using dead = await startBuilding(place, null)
        await using alive = await startBuilding(place, null)
        await dead.kill()
        const store = await reopen()
        const found = await walked(store)
        assert.equal(found.unfinished.length, 1)
        assert.deepEqual(found.snapshots, [])
        assert.equal(await store.reclaim(), 1)
        assert.equal(await store.reclaim(), 0)
        assert.deepEqual((await walked(store)).unfinished, [])
        await assert.rejects(access(join(dead.rootfs, 'half-made')))
        assert.deepEqual(await filesIn(alive.rootfs), ['half-made'])
        await alive.kill()
        assert.equal(await store.reclaim(), 1)
        assert.deepEqual(await leftovers(), [])
      }),
    )

    it(
      'rolls a chain back to what was committed',
      onFreshStore(suite, async ({ store, place, reopen, leftovers }) => {
        await buildLayer(store, null, bottom, 'bottom')
        const before = await leftovers()
        await using dead = await startBuilding(place, bottom.chain)
        assert.deepEqual(await filesIn(dead.rootfs), ['bottom', 'half-made'])
        await dead.kill()
        const again = await reopen()
        assert.equal((await walked(again)).unfinished.length, 1)
        assert.equal(await again.reclaim(), 1)
        assert.deepEqual(withoutIds(await leftovers()), withoutIds(before))
        assert.deepEqual(await filesAt(again, bottom.chain), ['bottom'])
      }),
    )

    it(
      'builds on a chain whose last builder was killed, reclaimed or not',
      onFreshStore(suite, async ({ store, place, reopen }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await using dead = await startBuilding(place, bottom.chain)
        await dead.kill()
        const again = await reopen()
        await buildLayer(again, bottom, middle, 'middle')
        assert.deepEqual(await filesAt(again, bottom.chain), ['bottom'])
        assert.deepEqual(await filesAt(again, middle.chain), ['bottom', 'middle'])
      }),
    )

    it(
      'shares a base with a builder of another process',
      onFreshStore(suite, async ({ store, place }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await using other = await startBuilding(place, bottom.chain)
        await buildLayer(store, bottom, middle, 'middle')
        assert.deepEqual(await filesAt(store, middle.chain), ['bottom', 'middle'])
        assert.deepEqual(await filesIn(other.rootfs), ['bottom', 'half-made'])
        assert.equal(await store.reclaim(), 0)
        await other.kill()
      }),
    )
  })
}
