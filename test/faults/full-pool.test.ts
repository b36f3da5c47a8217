/** A pool that fills up, as an operator meets it. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { ZfsChainStore } from '../../src/importer/chain/zfs/zfs-chain-store.ts'
import type { Importer } from '../../src/importer/importer.ts'
import { defaultPlatform } from '../../src/storage/platform.ts'
import { importerOver } from '../support/importer-over.ts'
import { skipWithout } from '../support/programs.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { rejectsWith } from '../support/rejects.ts'
import { file, tar } from '../support/tar.ts'
import { pushTestImage } from '../support/test-images.ts'
import { createPool, storeLeftovers, type TestPool } from '../support/zfs.ts'

const mebibyte = 1024 * 1024
const small = tar(file('small', randomBytes(mebibyte)))
/**
 * Many files, so that the pool fills up in the middle of the layer. Each fits into one record of 128 KiB: zfs-fuse
 * aborts (`uio.uio_resid == 0` in zfsfuse_write) when the pool is full after the first record of a write that spans two.
 */
const fileSize = 100 * 1024
const large = tar(...Array.from({ length: 1000 }, (_, index) => file(`f${index}`, randomBytes(fileSize))))

describe('a full pool', { skip: await skipWithout('zfs') }, () => {
  let pool: TestPool
  let registry: TestRegistry
  let importer: Importer
  const opened = new AsyncDisposableStack()

  before(async () => {
    registry = opened.use(await startRegistry())
    const client = new RegistryClient(registry.url)
    // The large one first: on a slow machine it is compressed for so long that a connection that idles is closed meanwhile.
    await pushTestImage(client, 'team/app', 'large', { layers: [small, large] })
    await pushTestImage(client, 'team/app', 'small', { layers: [small] })
    pool = await createPool({ size: 96 * mebibyte })
    opened.defer(() => pool.destroy())
    const chains = await ZfsChainStore.open({ dataset: pool.name })
    importer = await importerOver(chains)
    opened.use(importer)
  })
  after(() => opened.disposeAsync())

  const name = (tag: string): string => `${new URL(registry.url).host}/team/app:${tag}`
  const run = (tag: string) => importer.import({ image: name(tag), platform: defaultPlatform })
  const records = (): string[] => readdirSync(join(pool.mountpoint, 'varve/images/records'))

  it('refuses an image that does not fit, keeps its good layers, and takes a smaller one', async () => {
    const { message } = await rejectsWith('no_space', run('large'))
    assert.match(message, /no space left/)
    assert.deepEqual(records(), [])
    assert.equal((await storeLeftovers(pool)).filter(entry => entry.includes('@')).length, 1)
    assert.equal((await run('small')).imported, 0)
    const web1 = parseCloneName('web1')
    await importer.clone(name('small'), web1)
    await importer.destroyClone(web1)
    await importer.removeImage(name('small'))
    assert.deepEqual(await storeLeftovers(pool), [])
  })

  it('says no_space when a clone has filled the pool, and still answers for what is there', async () => {
    await run('small')
    const { rootfs } = await importer.clone(name('small'), parseCloneName('hog'))
    await assert.rejects(fill(rootfs), { code: 'ENOSPC' })
    await rejectsWith('no_space', run('large'))
    assert.equal((await run('small')).imported, 0)
    assert.equal((await importer.clones()).length, 1)
    // Destroying is what makes space again, so it has to work without any.
    await importer.destroyClone(parseCloneName('hog'))
    assert.deepEqual(await importer.clones(), [])
  })
})

async function fill(directory: string): Promise<never> {
  for (let index = 0; ; index += 1) await writeFile(join(directory, `hog${index}`), randomBytes(fileSize))
}
