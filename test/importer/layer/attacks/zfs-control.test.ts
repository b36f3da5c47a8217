/**
 * S-36 where `.zfs` is there. zfs-fuse has no control directory, so something with its names stands in for it; ZFS of a
 * kernel shows its own.
 */
import assert from 'node:assert/strict'
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { describeInEachPlace } from '../../../support/layer-places.ts'
import type { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { zfs } from '../../../support/zfs.ts'
import { type Attack, runAttack } from './attack.ts'
import { zfsControlAttacks } from './zfs-control.ts'

/** Those that look at what is below the root by names have to look past the control directory. */
const attacks: readonly Attack[] = zfsControlAttacks.map(attack => ({
  ...attack,
  ...(typeof attack.outcome === 'string' ? {} : { outcome: undefined }),
  check: () => {},
}))

describeInEachPlace('layers against .zfs', { timeout: 120_000 }, place => {
  it('S-36: leave what is there alone', async context => {
    using sandbox = place.sandbox()
    await attackAll(context, sandbox)
  })

  if (place.kind === 'dataset')
    it("S-36: leave it alone at a dataset's own root", async context => {
      using sandbox = place.sandbox()
      const dataset = `${place.pool().name}/root`
      await zfs('create', '-o', `mountpoint=${sandbox.rootfs}`, '-o', 'snapdir=visible', dataset)
      try {
        writeFileSync(join(sandbox.rootfs, 'kept'), 'kept')
        await zfs('snapshot', `${dataset}@before`)
        await attackAll(context, sandbox)
        const snapshots = await zfs('list', '-H', '-r', '-t', 'snapshot', '-o', 'name', dataset)
        assert.deepEqual(snapshots.trim().split('\n'), [`${dataset}@before`])
      } finally {
        await zfs('destroy', '-r', dataset)
      }
    })
})

/** One after the other on one root, which is emptied in between. */
async function attackAll(context: TestContext, sandbox: LayerSandbox): Promise<void> {
  const control = join(sandbox.rootfs, '.zfs')
  if (!existsSync(control)) {
    mkdirSync(join(control, 'snapshot/before'), { recursive: true })
    writeFileSync(join(control, 'snapshot/before/kept'), 'kept')
    context.diagnostic('.zfs is a directory that stands in for the control directory')
  }
  const before = lookAt(control)
  for (const attack of attacks) {
    await context.test(attack.title, async () => {
      await runAttack(attack, sandbox)
      assert.deepEqual(lookAt(control), before)
      sandbox.assertOutsideUntouched()
    })
    for (const name of readdirSync(sandbox.rootfs))
      if (name !== '.zfs') rmSync(join(sandbox.rootfs, name), { recursive: true })
  }
}

/** Every path in it, with the time of its last change. */
function lookAt(control: string): string[] {
  const paths = ['.', ...readdirSync(control, { recursive: true, encoding: 'utf8' })].sort()
  return paths.map(path => `${path} ${lstatSync(join(control, path), { bigint: true }).ctimeNs}`)
}
