/** The programs that people have, against a running registry. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { DiffId } from '../../src/storage/digest.ts'
import { parseImageConfig } from '../../src/storage/image-config.ts'
import { blobPath, findTag, readManifest } from '../fixtures/image/oci-layout.ts'
import { type FixtureImage, fixtureImage, fixturePrograms } from '../fixtures/make-image.ts'
import { type DockerDaemon, startDockerd } from '../support/dockerd.ts'
import { removeWithMounts } from '../support/mounts.ts'
import { exec } from '../support/process.ts'
import { skipWithout } from '../support/programs.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'

const programs = [...fixturePrograms, 'skopeo', 'dockerd']

describe('real clients', { skip: await skipWithout(...programs) }, () => {
  let fixture: FixtureImage
  let registry: TestRegistry
  /** `127.0.0.1:port`, as clients write it in front of a repository's name. */
  let host = ''
  let directory = ''

  before(async () => {
    fixture = await fixtureImage()
    directory = await mkdtemp(join(tmpdir(), 'varve-clients-'))
    registry = await startRegistry()
    host = new URL(registry.url).host
  })
  after(async () => {
    await registry.stop()
    await removeWithMounts(directory)
  })

  const skopeo = (...args: readonly string[]): Promise<string> => exec('skopeo', args)
  const skopeoCopy = (...args: readonly string[]): Promise<string> =>
    skopeo('copy', '--src-tls-verify=false', '--dest-tls-verify=false', ...args)
  const fromFixture = (tag: string): string => `oci:${fixture.layout}:${tag}`

  describe('skopeo', () => {
    it('copies an image to the registry and back, byte for byte', async () => {
      const image = `docker://${host}/skopeo/layers:12`
      const back = join(directory, 'layers')
      await skopeoCopy('--preserve-digests', fromFixture(fixture.layers.tag), image)
      await skopeoCopy('--preserve-digests', image, `oci:${back}:12`)
      assert.equal((await findTag(back, '12')).digest, fixture.layers.digest)
    })

    it('copies an index with the images of all its platforms', async () => {
      const image = `docker://${host}/skopeo/index:12`
      const back = join(directory, 'index')
      await skopeoCopy('--all', '--preserve-digests', fromFixture(fixture.index.tag), image)
      await skopeoCopy('--all', '--preserve-digests', image, `oci:${back}:12`)
      assert.equal((await findTag(back, '12')).digest, fixture.index.digest)
      for (const { digest } of fixture.index.images)
        assert.equal((await readManifest(back, digest)).kind, 'image')
    })

    it('lists the tags of two images that share layers', async () => {
      const repository = `docker://${host}/skopeo/tags`
      await skopeoCopy(fromFixture(fixture.layers.tag), `${repository}:layers`)
      await skopeoCopy(fromFixture(fixture.branch.tag), `${repository}:branch`)
      const listed: unknown = JSON.parse(await skopeo('list-tags', '--tls-verify=false', repository))
      assert.partialDeepStrictEqual(listed, { Tags: ['branch', 'layers'] })
    })
  })

  describe('buildah', () => {
    it('pulls the image of another platform through an index, and pushes it', async () => {
      const [, foreign] = fixture.index.images
      assert.ok(foreign !== undefined)
      const image = `${host}/buildah/index:12`
      await skopeoCopy('--all', fromFixture(fixture.index.tag), `docker://${image}`)
      const storage = [`--root=${join(directory, 'storage')}`, `--runroot=${join(directory, 'run')}`]
      const buildah = (...args: readonly string[]): Promise<string> =>
        exec('buildah', ['--storage-driver=vfs', ...storage, ...args])
      const { os, architecture } = foreign.platform
      await buildah('pull', '--tls-verify=false', '--os', os, '--arch', architecture, image)
      const pushed = `docker://${host}/buildah/pushed:12`
      await buildah('push', '--tls-verify=false', image, pushed)
      const back = join(directory, 'pushed')
      await skopeoCopy('--override-os', os, '--override-arch', architecture, pushed, `oci:${back}:12`)
      assert.deepEqual(await diffIdsOf(back, '12'), await diffIdsOf(fixture.layout, foreign.tag))
    })
  })

  describe('docker', () => {
    let daemon: DockerDaemon
    /** What the daemon calls the image that it has loaded. */
    const loaded = 'loaded:12'
    const docker = (...args: readonly string[]): Promise<string> => daemon.docker(...args)

    before(async () => {
      daemon = await startDockerd()
      const archive = join(directory, 'docker.tar')
      await skopeoCopy(fromFixture(fixture.layers.tag), `docker-archive:${archive}:${loaded}`)
      await docker('load', '--input', archive)
      await rm(archive)
    })
    after(() => daemon.stop())

    const push = async (image: string): Promise<string> => {
      await docker('tag', loaded, image)
      return await docker('push', image)
    }
    const inspect = async (image: string): Promise<{ Id: string; RepoDigests: string[] }> => {
      const format = '{"Id":{{json .Id}},"RepoDigests":{{json .RepoDigests}}}'
      return JSON.parse(await docker('image', 'inspect', '--format', format, image))
    }
    const count = (output: string, what: RegExp): number => output.match(what)?.length ?? 0

    it('pushes an image, and uploads nothing when it pushes it again', async () => {
      const image = `${host}/docker/again:12`
      const layers = fixture.layers.layers.length
      assert.equal(count(await push(image), /: (Pushed|Mounted from \S+)$/gm), layers)
      assert.equal(count(await push(image), /: Layer already exists$/gm), layers)
    })

    it('mounts the layers that another repository of the registry has', async () => {
      await push(`${host}/docker/origin:12`)
      const output = await push(`${host}/docker/mounted:12`)
      assert.equal(count(output, /: Mounted from docker\/\w+$/gm), fixture.layers.layers.length)
    })

    it('pulls back what it pushed, with the same digest', async () => {
      const image = `${host}/docker/layers:12`
      const [, pushedDigest] = /digest: (sha256:\S+)/.exec(await push(image)) ?? []
      const { Id } = await inspect(image)
      const everything = (await docker('image', 'ls', '--quiet', '--no-trunc')).trim().split('\n')
      await docker('image', 'rm', '--force', ...new Set(everything))

      await docker('pull', image)
      // The other tests find the daemon as they left it.
      await docker('tag', image, loaded)
      assert.deepEqual(await inspect(image), {
        Id,
        RepoDigests: [`${host}/docker/layers@${pushedDigest}`],
      })
    })

    it('pushes what skopeo then pulls', async () => {
      const image = `${host}/team/debian:12`
      await push(image)
      const back = join(directory, 'from-docker')
      await skopeoCopy(`docker://${image}`, `oci:${back}:12`)
      assert.deepEqual(await diffIdsOf(back, '12'), await diffIdsOf(fixture.layout, fixture.layers.tag))
    })
  })
})

/** What an image contains, however its layers were compressed on the way. */
async function diffIdsOf(layout: string, tag: string): Promise<readonly DiffId[]> {
  const manifest = await readManifest(layout, (await findTag(layout, tag)).digest)
  assert.ok(manifest.kind === 'image')
  return parseImageConfig(await readFile(blobPath(layout, manifest.config.digest))).diffIds
}
