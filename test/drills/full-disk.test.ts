import assert from 'node:assert/strict'
import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { errnoOf } from '../../src/errors.ts'
import { createMachine, pushSome } from '../support/drill.ts'
import { exec } from '../support/process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

describe('Drill: the disk is full while a backup is made', () => {
  it('it says so, leaves nothing behind, and the registry goes on', async context => {
    await using stack = new AsyncDisposableStack()
    const { path } = stack.use(await temporaryDirectory())
    const disk = join(path, 'disk')
    await mkdir(disk)
    try {
      await exec('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'varve-test', disk])
    } catch (error) {
      context.skip(`needs the right to mount a tmpfs: ${String(error)}`)
      return
    }
    stack.defer(async () => void (await exec('umount', ['--lazy', disk])))
    const machine = await createMachine(stack, { data: join(disk, 'data') })
    await using registry = await machine.serve()
    await pushSome(registry.pusher, 'early')
    await machine.ok('backup')
    await fill(join(disk, 'filler'))
    const { code, stderr } = await machine.run('backup')
    assert.equal(code, 1)
    assert.match(stderr, /is full|no space left/)
    await registry.pusher.inventory()
    await rm(join(disk, 'filler'))
    const list = async () => ((await machine.json('backup', 'list'))['backups'] as object[]).length
    assert.equal(await list(), 1)
    const names = await readdir(join(disk, 'data', 'registry'))
    assert.deepEqual(
      names.filter(name => name.includes('snapshot')),
      [],
    )
    await machine.ok('backup')
    assert.equal(await list(), 2)
  })
})

/** All but what the database needs to take a lease: its log has grown to more than that before. */
async function fill(path: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (const size of [1024 * 1024, 4096])
      for (;;)
        try {
          await file.write(Buffer.alloc(size))
        } catch (error) {
          if (errnoOf(error) !== 'ENOSPC') throw error
          break
        }
    const { size } = await file.stat()
    await file.truncate(size - 64 * 1024)
  } finally {
    await file.close()
  }
}
