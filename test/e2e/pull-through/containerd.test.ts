/** containerd with a directory of hosts, by both ways that it has to say which registry it means. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { nativePlatform } from '../../fixtures/image/build-layout.ts'
import { type Containerd, startContainerd } from '../../support/containerd.ts'
import { type HubMirror, mirrorModes, startHubMirror } from '../../support/hub-mirror.ts'
import { skipWithout } from '../../support/programs.ts'
import {
  getsOf,
  type HubImage,
  hubPrograms,
  startUpstreamHub,
  type UpstreamHub,
} from '../../support/upstream-hub.ts'

const skip = await skipWithout('containerd', ...hubPrograms)

for (const mode of mirrorModes)
  describe(`containerd pulls through, with auth.mode ${mode}`, { skip, timeout: 300_000 }, () => {
    const stack = new AsyncDisposableStack()
    let hub: UpstreamHub
    let mirror: HubMirror
    let daemon: Containerd
    let secret: HubImage
    before(async () => {
      hub = stack.use(await startUpstreamHub())
      mirror = stack.use(await startHubMirror(mode, hub.host))
      daemon = await startContainerd()
      stack.defer(() => daemon.stop())
      secret = await hub.push('secret/app', '1')
      await hosts('ns', `http://${mirror.host}`)
      await hosts('path', `http://${mirror.host}/v2/docker.io`, 'override_path = true')
      await hosts('ours', `http://${mirror.host}/v2/acme/hub`, 'override_path = true', hub.host)
    })
    after(() => stack.disposeAsync())

    /** There is nobody else to ask: what the mirror does not have fails. */
    async function hosts(name: string, host: string, more = '', namespace = 'docker.io'): Promise<void> {
      const directory = join(mirror.directory, name, namespace)
      await mkdir(directory, { recursive: true })
      const toml = `server = "${host}"\n${more}\n[host."${host}"]\n  capabilities = ["pull", "resolve"]\n  ${more}\n`
      await writeFile(join(directory, 'hosts.toml'), toml)
    }

    const as = (name?: 'gina' | 'zoe'): string[] => {
      const login = name === undefined ? mirror.anybody : mirror.login(name)
      return login === undefined ? [] : [`--user=${login.username}:${login.password}`]
    }
    const pull = (way: string, image: string, ...options: readonly string[]): Promise<string> =>
      daemon.ctr(
        ...['images', 'pull', '--snapshotter=native', `--hosts-dir=${join(mirror.directory, way)}`],
        ...options,
        image,
      )
    const digestOf = async (image: string): Promise<string | undefined> => {
      const lines = (await daemon.ctr('images', 'list', `name==${image}`)).split('\n')
      return lines.find(text => text.startsWith(`${image} `))?.split(/\s+/)[2]
    }
    const forget = (image: string): Promise<string> => daemon.ctr('images', 'remove', '--sync', image)

    const pulled = new Map<string, string>()

    for (const way of ['ns', 'path'])
      it(`an image by ${way}, and each part comes once`, async () => {
        const name = `docker.io/team/app-${way}:1`
        const image = await hub.push(`team/app-${way}`, '1')
        hub.gets()
        await pull(way, name, ...as())
        assert.equal(await digestOf(name), image.digest)
        assert.deepEqual(hub.gets(), getsOf(image))
        pulled.set(way, image.digest)
      })

    it('one platform of an index below library/, and nothing of the others', async () => {
      const architectures = [nativePlatform.architecture, 's390x']
      const index = await hub.pushIndex('library/debian', '12', architectures)
      hub.gets()
      await pull('ns', 'docker.io/library/debian:12', ...as())
      assert.equal(await digestOf('docker.io/library/debian:12'), index.digest)
      const native = index.images.get(nativePlatform.architecture)
      assert.ok(native !== undefined)
      const manifest = `GET /v2/library/debian/manifests/${index.digest}`
      assert.deepEqual(hub.gets(), [...getsOf(native), manifest].sort())
    })

    it('what is not there, and says so', async () => {
      await assert.rejects(pull('ns', 'docker.io/team/absent:1', ...as()), /not found/)
    })

    it('nothing of a private upstream, as nobody and as an outsider, and all of it as a member', async () => {
      hub.gets()
      await assert.rejects(pull('ns', 'docker.io/secret/app:1', ...as()), /not found/)
      if (mode === 'none') return
      // By the name that the registry has for which acme has a user of its own.
      const name = `${hub.host}/secret/app:1`
      for (const outsider of [[], as('zoe')]) await assert.rejects(pull('ours', name, ...outsider), refused)
      assert.deepEqual(
        hub.gets().filter(line => line.includes('/blobs/')),
        [],
      )
      await pull('ours', name, ...as('gina'))
      assert.equal(await digestOf(name), secret.digest)
      assert.deepEqual(hub.gets(), getsOf(secret))
    })

    it('again, when the upstream is gone', async () => {
      await hub.front.stop()
      for (const [way, digest] of pulled) {
        const name = `docker.io/team/app-${way}:1`
        await forget(name)
        await pull(way, name, ...as())
        assert.equal(await digestOf(name), digest)
      }
      await assert.rejects(pull('ns', 'docker.io/team/never-seen:1', ...as()))
    })
  })

const refused =
  /401|403|[Uu]nauthorized|[Ff]orbidden|authorization failed|insufficient_scope|denied|not found/
