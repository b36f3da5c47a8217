/** The process that starts `zfs` is killed while clones are made. What it has begun goes on without it. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import { ZfsChainStore } from '../../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { createZfsStarter } from '../../../../src/importer/chain/zfs/zfs-command.ts'
import { cloneEach } from '../../../../src/importer/clones/clone-each.ts'
import { buildLayer, failsWith, filesIn } from '../../../contract/chain-store/suite.ts'
import { layerOn } from '../../../support/fake-layers.ts'
import { skipWithout } from '../../../support/programs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'
import { createPool, patientOnFuse, type TestPool } from '../../../support/zfs.ts'

const bottom = layerOn(null, 'bottom')
const names = Array.from({ length: 40 }, (_, index) => parseCloneName(`web-${index}`))

/** Runs zfs, kills who started it before, amid and after one of its clones each, and notes whom it meets at work. */
const murderer = `#!/bin/sh
case "$1" in list|get) exec zfs "$@" ;; esac
mkdir "$0.turn" || echo "$*" >> "$0.met"
if [ "$1" = clone ]; then
  echo >> "$0.clones"
  clone=$(wc -l < "$0.clones")
fi
[ "$clone" = 8 ] && kill -9 "$PPID" && sleep 0.5
[ "$clone" = 16 ] && (sleep 0.02; kill -9 "$PPID") &
zfs "$@"
code=$?
[ "$clone" = 24 ] && kill -9 "$PPID" && sleep 0.5
rmdir "$0.turn"
exit $code
`

describe('a killed starter of zfs', { skip: await skipWithout('zfs'), timeout: 120_000 }, () => {
  let pool: TestPool
  let directory: TemporaryDirectory
  before(async () => {
    directory = await temporaryDirectory()
    pool = await createPool()
  })
  after(async () => {
    await pool.destroy()
    await directory.remove()
  })

  it('fails what it was at, and nothing else; asked again, the store makes what is missing', async () => {
    const program = join(directory.path, 'zfs')
    await writeFile(program, murderer, { mode: 0o755 })
    using starter = createZfsStarter()
    const options = { dataset: pool.name, program, patience: patientOnFuse, concurrency: 1, starter }
    const store = await ZfsChainStore.open(options)
    await buildLayer(store, null, bottom, 'bottom')

    const outcomes = await cloneEach(names, name => store.clone(bottom.chain, name))
    const errors = outcomes.flatMap(one => ('error' in one ? [one.error] : []))
    assert.ok(errors.length >= 2 && errors.length <= 3, `${errors.length} have failed`)
    for (const error of errors) {
      assert.ok(failsWith('unavailable')(error))
      assert.match(
        error.message,
        /^zfs clone failed for web-\d+: the process that starts zfs has ended, .*\.$/,
      )
    }

    const clones = await Promise.all(names.map(name => store.clone(bottom.chain, name)))
    for (const { rootfs } of clones) assert.deepEqual(await filesIn(rootfs), ['bottom'])
    assert.equal((await store.clones()).length, names.length)
    assert.ok(!existsSync(`${program}.met`), 'a command met one that a killed process had left behind')
  })
})
