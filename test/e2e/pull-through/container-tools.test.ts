/** podman, buildah and skopeo with mirrors in `registries.conf`: by prefix in the path, and at the root. */
import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findTag } from '../../fixtures/image/oci-layout.ts'
import { storageOptions } from '../../support/container-storage.ts'
import { type HubMirror, mirrorModes, startHubMirror } from '../../support/hub-mirror.ts'
import { exec } from '../../support/process.ts'
import { skipWithout } from '../../support/programs.ts'
import {
  getsOf,
  type HubImage,
  hubPrograms,
  startUpstreamHub,
  type UpstreamHub,
} from '../../support/upstream-hub.ts'

const programs = ['podman', 'buildah', 'skopeo'] as const
const ways = ['path', 'root'] as const
const skip = await skipWithout(...programs, ...hubPrograms)

for (const mode of mirrorModes)
  describe(`registries.conf, with auth.mode ${mode}`, { skip, timeout: 300_000 }, () => {
    const stack = new AsyncDisposableStack()
    let hub: UpstreamHub
    let mirror: HubMirror
    before(async () => {
      hub = stack.use(await startUpstreamHub())
      mirror = stack.use(await startHubMirror(mode, hub.host, { root: true }))
      await conf('path', `${mirror.host}/docker.io`)
      await conf('root', mirror.host)
      await conf('ours', `${mirror.host}/acme/hub`)
      await auths('anybody', mirror.anybody)
      for (const name of ['gina', 'zoe'] as const) await auths(name, mirror.login(name))
      await auths('nobody', undefined)
    })
    after(() => stack.disposeAsync())

    const at = (name: string): string => join(mirror.directory, name)

    /** There is nobody else to ask: what the mirror does not have fails. */
    async function conf(name: string, location: string): Promise<void> {
      const lines = [
        ...['[[registry]]', 'prefix = "docker.io"', 'location = "127.0.0.1:1"', 'insecure = true'],
        ...['[[registry.mirror]]', `location = "${location}"`, 'insecure = true'],
      ]
      await writeFile(at(`${name}.conf`), `${lines.join('\n')}\n`)
    }

    async function auths(name: string, login: ReturnType<HubMirror['login']>): Promise<void> {
      const auth = login && Buffer.from(`${login.username}:${login.password}`).toString('base64')
      const content = { auths: auth === undefined ? {} : { [mirror.host]: { auth } } }
      await writeFile(at(`${name}.json`), JSON.stringify(content), { mode: 0o600 })
    }

    /** Pulls and answers the digest of what has come. */
    async function pull(
      program: (typeof programs)[number],
      way: string,
      image: string,
      who = 'anybody',
    ): Promise<string> {
      const env = { CONTAINERS_REGISTRIES_CONF: at(`${way}.conf`), TMPDIR: mirror.directory }
      const authFile = `--authfile=${at(`${who}.json`)}`
      if (program === 'skopeo') {
        const layout = at('skopeo-layout')
        await rm(layout, { recursive: true, force: true })
        await exec('skopeo', [
          ...[`--registries-conf=${at(`${way}.conf`)}`, 'copy', '--preserve-digests', authFile],
          ...[`docker://docker.io/${image}`, `oci:${layout}:1`],
        ])
        return (await findTag(layout, '1')).digest
      }
      const run = (...args: readonly string[]) =>
        exec(program, [...storageOptions(program, mirror.directory), ...args], { env })
      await mkdir(mirror.directory, { recursive: true })
      const id = (await run('pull', '--quiet', authFile, `docker.io/${image}`)).trim()
      const format = program === 'podman' ? '{{.Digest}}' : '{{.FromImageDigest}}'
      const digest = (await run('inspect', '--type=image', '--format', format, id)).trim()
      await run('rmi', '--all', '--force')
      return digest
    }

    const pulled: { program: (typeof programs)[number]; way: string; image: HubImage }[] = []

    for (const program of programs)
      for (const way of ways)
        it(`${program} pulls an image by ${way}, and each part comes once`, async () => {
          const image = await hub.push(`team/${program}-${way}`, '1')
          hub.gets()
          assert.equal(await pull(program, way, `${image.repository}:1`), image.digest)
          assert.deepEqual(hub.gets(), getsOf(image))
          pulled.push({ program, way, image })
        })

    it('podman and skopeo pull what is called by one word', async () => {
      const image = await hub.push('library/debian', '12')
      for (const program of ['podman', 'skopeo'] as const)
        for (const way of ways) assert.equal(await pull(program, way, 'library/debian:12'), image.digest)
    })

    it('nothing of a private upstream is pulled as nobody and as an outsider, and all of it as a member', async () => {
      const secret = await hub.push('secret/app', '1')
      hub.gets()
      for (const way of ways) await assert.rejects(pull('skopeo', way, 'secret/app:1'))
      if (mode === 'none') return
      for (const outsider of ['nobody', 'zoe'])
        await assert.rejects(pull('skopeo', 'ours', 'secret/app:1', outsider))
      assert.deepEqual(
        hub.gets().filter(line => line.includes('/blobs/')),
        [],
      )
      assert.equal(await pull('skopeo', 'ours', 'secret/app:1', 'gina'), secret.digest)
      assert.deepEqual(hub.gets(), getsOf(secret))
      assert.equal(await pull('podman', 'ours', 'secret/app:1', 'gina'), secret.digest)
    })

    it('all of it is pulled again when the upstream is gone', async () => {
      await hub.front.stop()
      assert.equal(pulled.length, programs.length * ways.length)
      for (const { program, way, image } of pulled)
        assert.equal(await pull(program, way, `${image.repository}:1`), image.digest)
    })
  })
