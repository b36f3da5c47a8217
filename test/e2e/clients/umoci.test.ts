import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findTag } from '../../fixtures/image/oci-layout.ts'
import {
  type ClientRegistry,
  clientRegistryPrograms,
  skopeoCopy,
  startClientRegistry,
  uploadedBytes,
} from '../../support/client-registry.ts'
import { diffIdsOf } from '../../support/layout-content.ts'
import { exec } from '../../support/process.ts'
import { skipWithout } from '../../support/programs.ts'
import { umociUnpack } from '../../support/umoci.ts'

describe('umoci and skopeo', { skip: await skipWithout(...clientRegistryPrograms) }, () => {
  let registry: ClientRegistry
  before(async () => {
    registry = await startClientRegistry()
  })
  after(() => registry.stop())

  const umoci = (...args: readonly string[]): Promise<string> => exec('umoci', args)
  const inRegistry = (image: string): string => `docker://${registry.host}/${image}`

  it('repack an image of the registry, push only the new layer, and pull it back', async () => {
    const { directory, fixture, origin } = registry
    const layout = join(directory, 'pulled')
    const bundle = join(directory, 'bundle')
    const base = fixture.branch
    await skopeoCopy('--preserve-digests', inRegistry(`${origin}:${base.tag}`), `oci:${layout}:base`)
    assert.equal((await findTag(layout, 'base')).digest, base.digest)
    const rootfs = await umociUnpack(layout, 'base', bundle)
    await mkdir(join(rootfs, 'srv/repacked'))
    await writeFile(join(rootfs, 'srv/repacked/file'), 'repacked\n')
    await umoci('repack', '--image', `${layout}:repacked`, bundle)

    const requests = await registry.requests(() =>
      skopeoCopy('--preserve-digests', `oci:${layout}:repacked`, inRegistry(`${origin}:repacked`)),
    )
    assert.ok(uploadedBytes(requests) < 64 * 1024)
    const { digest } = await findTag(layout, 'repacked')
    assert.equal(await registry.digest(origin, 'repacked'), digest)

    const back = join(directory, 'back')
    await skopeoCopy('--preserve-digests', inRegistry(`${origin}:repacked`), `oci:${back}:repacked`)
    assert.equal((await findTag(back, 'repacked')).digest, digest)
    const diffIds = await diffIdsOf(back, 'repacked')
    assert.deepEqual(diffIds.slice(0, -1), await diffIdsOf(fixture.layout, base.tag))
  })

  it('push an image without any layer, and pull it back', async () => {
    const { directory } = registry
    const layout = join(directory, 'empty')
    await umoci('init', '--layout', layout)
    await umoci('new', '--image', `${layout}:empty`)
    await umoci('config', '--image', `${layout}:empty`, '--config.label', 'made-by=umoci')
    const { digest } = await findTag(layout, 'empty')
    await skopeoCopy('--preserve-digests', `oci:${layout}:empty`, inRegistry('umoci/empty:1'))
    const back = join(directory, 'empty-back')
    await skopeoCopy('--preserve-digests', inRegistry('umoci/empty:1'), `oci:${back}:empty`)
    assert.equal((await findTag(back, 'empty')).digest, digest)
    assert.equal((await umoci('list', '--layout', back)).trim(), 'empty')
  })
})
