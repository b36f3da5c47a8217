import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { writeFile } from 'node:fs/promises'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { ConfiguredCredentials } from '../../../src/storage/remote/credentials/configured-credentials.ts'
import { HttpRegistries } from '../../../src/storage/remote/http-registries.ts'
import { startAccountRegistry } from '../../support/account-registry.ts'
import { startDockerRegistry } from '../../support/docker-registry.ts'
import { skipWithout } from '../../support/programs.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { servedImage } from '../../support/served-image.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const { layer, config, manifest: bytes, manifestDigest } = servedImage()
const manifest = {
  digest: manifestDigest,
  mediaType: mediaTypes.ociManifest,
  size: bytes.length,
  bytes,
}
const [app, other] = [parseRepositoryName('acme/app'), parseRepositoryName('acme/other')]

interface Guarded extends AsyncDisposable {
  readonly host: string
  readonly username: string
  readonly password: string
  readonly deletesTags: boolean
}

for (const [name, skip, start] of [
  ['Varve with tokens', false, startVarve],
  ['docker-registry with passwords', await skipWithout('docker-registry'), startDocker],
] as const)
  describe(`As a user of ${name}`, { skip }, () => {
    const stack = new AsyncDisposableStack()
    let guarded: Guarded
    let registries: HttpRegistries
    before(async () => {
      guarded = stack.use(await start())
      const { path } = stack.use(await temporaryDirectory())
      const secret = async (file: string, text: string): Promise<string> => {
        await writeFile(join(path, file), text, { mode: 0o600 })
        return join(path, file)
      }
      const { host, username, password } = guarded
      const files = { right: await secret('right', password), wrong: await secret('wrong', 'guessed') }
      const named = Object.entries(files).map(([one, file]) => ({
        name: one,
        registry: host,
        repositories: ['**'],
        secret: { kind: 'password', username, file } as const,
      }))
      registries = stack.use(new HttpRegistries({ credentials: new ConfiguredCredentials({ named }) }))
    })
    after(() => stack.disposeAsync())

    it('we push, mount, read, list and delete', async () => {
      const requests: string[] = []
      const traffic = {
        request: ({ what, status }: { readonly what: string; readonly status: number }) =>
          void requests.push(`${what} ${status}`),
        bytes: () => {},
      }
      const registry = registries.open(guarded.host, { credentials: 'right', traffic })
      await registry.ping()
      const repository = registry.repository(app)
      for (const content of [layer, config])
        await repository.putBlob({ digest: digestOf(content), size: content.length }, async () =>
          Readable.from([Buffer.from(content)]),
        )
      await repository.putManifest(manifest, ['1', '2'].map(parseTag))
      assert.equal((await repository.stat({ kind: 'tag', tag: parseTag('2') })).digest, manifest.digest)
      assert.deepEqual((await Array.fromAsync<string>(repository.tags())).sort(), ['1', '2'])
      assert.ok((await Array.fromAsync(registry.repositories())).includes(app))
      const blob = { digest: digestOf(layer), size: layer.length }
      assert.equal(await registry.repository(other).mountBlob(blob, [app]), true)
      assert.deepEqual(await registry.repository(other).statBlob(blob.digest), blob)
      const deleting = repository.deleteTag(parseTag('1'))
      if (guarded.deletesTags) await deleting
      else await rejectsWith('unsupported', deleting)

      // From here on we are known: what is unchanged costs one request.
      requests.length = 0
      await repository.stat({ kind: 'tag', tag: parseTag('2') })
      assert.deepEqual(requests, ['manifest 200'])
    })

    it('nobody and wrong passwords are refused, and not told', async () => {
      for (const credentials of [null, 'wrong']) {
        const registry = registries.open(guarded.host, { credentials })
        const repository = registry.repository(app)
        const blob = { digest: digestOf(layer), size: layer.length }
        for (const attempt of [
          () => repository.get({ kind: 'digest', digest: manifest.digest }),
          () => repository.putBlob(blob, async () => Readable.from([Buffer.from(layer)])),
          () => repository.putManifest(manifest, [parseTag('3')]),
        ]) {
          const { message } = await rejectsWith('unauthorized', attempt())
          assert.doesNotMatch(message, /guessed/)
        }
      }
    })
  })

async function startVarve(): Promise<Guarded> {
  const registry = await startAccountRegistry('token')
  return {
    host: registry.host,
    ...registry.login('mia'),
    deletesTags: true,
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
}

async function startDocker(): Promise<Guarded> {
  const stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  /** Bcrypt of `alice-pw`. */
  const users = { alice: '$2y$05$abcdefghijklmnopqrstuujEI7PSP.y28xMPOv5lBoTSzRZgCP7le' }
  const registry = await startDockerRegistry(path, { users })
  stack.defer(() => registry.stop())
  return {
    host: new URL(registry.url).host,
    username: 'alice',
    password: 'alice-pw',
    deletesTags: false,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
