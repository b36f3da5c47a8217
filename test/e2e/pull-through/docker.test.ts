/** docker with `registry-mirrors`: what it calls `debian` is pulled from here, at the root. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { nativePlatform } from '../../fixtures/image/build-layout.ts'
import type { Login } from '../../support/account-registry.ts'
import { dockerClient } from '../../support/docker-client.ts'
import { type DockerDaemon, startDockerd } from '../../support/dockerd.ts'
import { type HubMirror, mirrorModes, startHubMirror } from '../../support/hub-mirror.ts'
import { skipWithout } from '../../support/programs.ts'
import { getsOf, hubPrograms, startUpstreamHub, type UpstreamHub } from '../../support/upstream-hub.ts'

const skip = await skipWithout('dockerd', ...hubPrograms)

for (const mode of mirrorModes)
  describe(`docker pulls through a registry mirror, with auth.mode ${mode}`, {
    skip,
    timeout: 300_000,
  }, () => {
    const stack = new AsyncDisposableStack()
    let hub: UpstreamHub
    let mirror: HubMirror
    let daemon: DockerDaemon
    before(async () => {
      hub = stack.use(await startUpstreamHub())
      mirror = stack.use(await startHubMirror(mode, hub.host, { root: true }))
      daemon = await startDockerd({ 'registry-mirrors': [mirror.url] })
      stack.defer(() => daemon.stop())
    })
    after(() => stack.disposeAsync())

    /** The daemon sends to its mirrors what it has for Docker Hub. */
    async function clientOf(name: string, login: Login | undefined) {
      const directory = join(mirror.directory, `docker-${name}`)
      await mkdir(directory, { recursive: true })
      const auth = login && Buffer.from(`${login.username}:${login.password}`).toString('base64')
      const auths =
        auth === undefined ? {} : { 'https://index.docker.io/v1/': { auth }, [mirror.host]: { auth } }
      await writeFile(join(directory, 'config.json'), JSON.stringify({ auths }), { mode: 0o600 })
      return dockerClient(daemon, directory).docker
    }
    const anybody = () => clientOf('anybody', mirror.anybody)
    const repositoryDigests = async (image: string): Promise<string[]> =>
      JSON.parse(
        await daemon.docker('image', 'inspect', '--format', '{{json .RepoDigests}}', image),
      ) as string[]
    const pulled = new Map<string, string>()

    it('an image, and each part comes once', async () => {
      const image = await hub.push('team/app', '1')
      hub.gets()
      await (await anybody())('pull', 'team/app:1')
      assert.deepEqual(await repositoryDigests('team/app:1'), [`team/app@${image.digest}`])
      assert.deepEqual(hub.gets(), getsOf(image))
      pulled.set('team/app', `team/app@${image.digest}`)
    })

    it('what it calls by one word, and by digest', async () => {
      const architectures = [nativePlatform.architecture, 's390x']
      const index = await hub.pushIndex('library/debian', '12', architectures)
      hub.gets()
      const docker = await anybody()
      await docker('pull', 'debian:12')
      assert.deepEqual(await repositoryDigests('debian:12'), [`debian@${index.digest}`])
      const native = index.images.get(nativePlatform.architecture)
      assert.ok(native !== undefined)
      const manifest = `GET /v2/library/debian/manifests/${index.digest}`
      assert.deepEqual(hub.gets(), [...getsOf(native), manifest].sort())
      await docker('image', 'rm', '--force', 'debian:12')
      await docker('pull', `debian@${index.digest}`)
      assert.deepEqual(hub.gets(), [])
      await docker('tag', `debian@${index.digest}`, 'debian:12')
      pulled.set('debian', `debian@${index.digest}`)
    })

    it('nothing of a private upstream, as nobody and as an outsider, and all of it as a member', async () => {
      const secret = await hub.push('secret/app', '1')
      hub.gets()
      await assert.rejects((await anybody())('pull', 'secret/app:1'))
      if (mode === 'none') return
      const name = `${mirror.host}/acme/hub/secret/app:1`
      for (const outsider of [undefined, mirror.login('zoe')])
        await assert.rejects(
          (await clientOf('outsider', outsider))('pull', name),
          /denied|unauthorized|no basic auth|not found/,
        )
      assert.deepEqual(
        hub.gets().filter(line => line.includes('/blobs/')),
        [],
      )
      await (await clientOf('gina', mirror.login('gina')))('pull', name)
      assert.deepEqual(hub.gets(), getsOf(secret))
    })

    it('again, when the upstream is gone', async () => {
      await hub.front.stop()
      const docker = await anybody()
      for (const [repository, digest] of pulled) {
        const name = `${repository}:${repository === 'debian' ? '12' : '1'}`
        await docker('image', 'rm', '--force', name)
        await docker('pull', name)
        assert.deepEqual(await repositoryDigests(name), [digest])
      }
    })
  })
