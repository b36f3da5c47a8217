/** crane, oras and regctl, which know no mirrors: by the prefix in the path. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findTag } from '../../fixtures/image/oci-layout.ts'
import type { Login } from '../../support/account-registry.ts'
import { type GoClient, goClient, type Run, skipWithoutClients } from '../../support/go-clients.ts'
import { type HubMirror, mirrorModes, startHubMirror } from '../../support/hub-mirror.ts'
import { skipWithout } from '../../support/programs.ts'
import {
  getsOf,
  type HubImage,
  hubPrograms,
  startUpstreamHub,
  type UpstreamHub,
} from '../../support/upstream-hub.ts'

const clients = ['crane', 'oras', 'regctl'] as const
const skip = (await skipWithoutClients(...clients)) || (await skipWithout(...hubPrograms))

/** Copies `image` with all that belongs to it to a layout, under the tag 1. */
const copies: Readonly<Record<GoClient, (run: Run, image: string, layout: string) => Promise<string>>> = {
  crane: (run, image, layout) => run('pull', '--format=oci', image, layout),
  oras: (run, image, layout) =>
    run('copy', '--recursive', '--from-plain-http', '--to-oci-layout', image, `${layout}:1`),
  regctl: (run, image, layout) => run('image', 'copy', '--referrers', image, `ocidir://${layout}:1`),
}
const digests: Readonly<Record<GoClient, (run: Run, image: string) => Promise<string>>> = {
  crane: (run, image) => run('digest', image),
  oras: (run, image) => run('resolve', '--plain-http', image),
  regctl: (run, image) => run('image', 'digest', image),
}

for (const mode of mirrorModes)
  describe(`Go clients, with auth.mode ${mode}`, { skip, timeout: 300_000 }, () => {
    const stack = new AsyncDisposableStack()
    let hub: UpstreamHub
    let mirror: HubMirror
    before(async () => {
      hub = stack.use(await startUpstreamHub())
      mirror = stack.use(await startHubMirror(mode, hub.host))
    })
    after(() => stack.disposeAsync())

    /** With a home of its own, where the login is. */
    async function as(client: GoClient, who: string, login: Login | undefined): Promise<Run> {
      const directory = join(mirror.directory, who)
      const auth = login && Buffer.from(`${login.username}:${login.password}`).toString('base64')
      const docker = join(directory, `${client}-home`, '.docker')
      await mkdir(docker, { recursive: true })
      const auths = auth === undefined ? {} : { [mirror.host]: { auth } }
      await writeFile(join(docker, 'config.json'), JSON.stringify({ auths }), { mode: 0o600 })
      return await goClient(client, { host: mirror.host, directory })
    }
    const anybody = (client: GoClient) => as(client, 'anybody', mirror.anybody)
    const inHub = (image: string): string => `${mirror.host}/docker.io/${image}`
    const pulled = new Map<GoClient, HubImage>()

    for (const client of clients)
      it(`${client} copies an image, and each part comes once`, async () => {
        const image = await hub.push(`team/${client}`, '1')
        hub.gets()
        const run = await anybody(client)
        const layout = join(mirror.directory, `${client}-layout`)
        await copies[client](run, inHub(`${image.repository}:1`), layout)
        const isOfImage = (line: string): boolean =>
          !line.includes('/referrers/') && !line.includes('/manifests/sha256-')
        assert.deepEqual(hub.gets().filter(isOfImage), getsOf(image))
        assert.equal((await digests[client](run, inHub(`${image.repository}:1`))).trim(), image.digest)
        if (client !== 'crane') assert.equal((await findTag(layout, '1')).digest, image.digest)
        pulled.set(client, image)
      })

    it('crane lists the tags of the upstream, and validates what comes', async () => {
      for (const tag of ['b', 'a', 'B']) await hub.push('team/tags', tag)
      const crane = await anybody('crane')
      assert.deepEqual((await crane('ls', inHub('team/tags'))).trim().split('\n'), ['B', 'a', 'b'])
      await crane('validate', '--remote', inHub('team/tags:a'))
    })

    it('oras and regctl find what refers to an image, and copy it', async () => {
      const image = await hub.push('team/signed', '1')
      const sbom = await hub.pushReferrer(image, 'application/vnd.example.sbom')
      const name = inHub('team/signed:1')
      const oras = await anybody('oras')
      const tree = await oras('discover', '--plain-http', '--format=json', name)
      assert.ok(tree.includes(sbom.digest), tree)
      const regctl = await anybody('regctl')
      const list = await regctl('artifact', 'list', '--format={{json .}}', name)
      assert.ok(list.includes(sbom.digest), list)
      hub.gets()
      for (const [client, run] of [
        ['oras', oras],
        ['regctl', regctl],
      ] as const) {
        const layout = join(mirror.directory, `${client}-signed`)
        await copies[client](run, name, layout)
      }
      const blobs = hub.gets().filter(line => line.includes('/blobs/'))
      const wanted = [...getsOf(image), ...getsOf(sbom)].filter(line => line.includes('/blobs/'))
      assert.deepEqual(blobs, wanted.sort())
    })

    it('get nothing of a private upstream as nobody and as an outsider, and all of it as a member', async () => {
      const secret = await hub.push('secret/app', '1')
      hub.gets()
      for (const client of clients)
        await assert.rejects(digests[client](await anybody(client), inHub('secret/app:1')))
      if (mode === 'none') return
      const name = `${mirror.host}/acme/hub/secret/app:1`
      const strangersAreRefused = async () => {
        for (const client of clients)
          for (const [who, login] of [
            ['nobody', undefined],
            ['zoe', mirror.login('zoe')],
          ] as const)
            await assert.rejects(digests[client](await as(client, who, login), name))
      }
      await strangersAreRefused()
      assert.deepEqual(hub.gets(), [])
      for (const client of clients) {
        const run = await as(client, 'gina', mirror.login('gina'))
        assert.equal((await digests[client](run, name)).trim(), secret.digest)
        await copies[client](run, name, join(mirror.directory, `${client}-secret`))
      }
      assert.deepEqual(
        hub.gets().filter(line => line.includes('/blobs/')),
        getsOf(secret).filter(line => line.includes('/blobs/')),
      )
      // Nor when it is here.
      await strangersAreRefused()
      for (const client of clients)
        await assert.rejects(digests[client](await anybody(client), inHub('secret/app:1')))
    })

    it('get all of it again when the upstream is gone', async () => {
      await hub.front.stop()
      assert.equal(pulled.size, clients.length)
      for (const [client, image] of pulled) {
        const run = await anybody(client)
        const name = inHub(`${image.repository}:1`)
        assert.equal((await digests[client](run, name)).trim(), image.digest)
        await copies[client](run, name, join(mirror.directory, `${client}-again`))
      }
    })
  })
