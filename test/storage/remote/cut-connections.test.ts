import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { parseImageName, parseRepositoryName } from '../../../src/storage/reference.ts'
import { HttpRegistries } from '../../../src/storage/remote/http-registries.ts'
import { RegistryImageSource } from '../../../src/storage/remote/registry-image-source.ts'
import { startCuttingProxy } from '../../support/cutting-proxy.ts'
import { startDockerRegistry } from '../../support/docker-registry.ts'
import { ImagePusher } from '../../support/image-pusher.ts'
import { skipWithout } from '../../support/programs.ts'
import { startRegistry } from '../../support/registry.ts'
import { servedImage } from '../../support/served-image.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const team = parseRepositoryName('team/app')
const bytes = randomBytes(24 * 1024 * 1024)
const blob = { digest: digestOf(bytes), size: bytes.length }
const cutAt = 10_000_000
const docker = await skipWithout('docker-registry')

for (const [name, skip, keeps, start] of [
  ['Varve', false, true, startRegistry],
  ['docker-registry', docker, false, startDocker],
] as const)
  describe(`Connections to ${name} that are cut`, { skip }, () => {
    const stack = new AsyncDisposableStack()
    let url = ''
    before(async () => {
      url = stack.use(await start()).url
    })
    after(() => stack.disposeAsync())

    it('lose nothing of an upload, nor of a download', async () => {
      await using registries = new HttpRegistries()
      const offsets: number[] = []
      {
        await using proxy = await startCuttingProxy(url, cutAt, 'requests')
        const repository = registries.open(proxy.host).repository(team)
        await repository.putBlob(blob, async offset => {
          offsets.push(offset)
          return Readable.from(piecesFrom(offset), { objectMode: false })
        })
        assert.equal(proxy.cuts, 1)
      }
      // A busy one may say where it stands before it has noticed the cut, and is asked again then.
      assert.ok(offsets.length >= 2, String(offsets))
      const last = offsets.at(-1) ?? 0
      // Old ones lose what they have of a stream that broke off.
      assert.ok((keeps ? last > 0 : last === 0) && last < cutAt + 1_000_000, String(offsets))

      await using proxy = await startCuttingProxy(url, cutAt)
      let received = 0
      const traffic = {
        request: () => {},
        bytes: (_: string, count: number) => {
          received += count
        },
      }
      const { stream } = await registries.open(proxy.host, { traffic }).repository(team).openBlob(blob.digest)
      assert.ok((await buffer(stream)).equals(bytes))
      assert.equal(proxy.cuts, 1)
      // What had come was not asked for again.
      assert.equal(received, blob.size)
    })

    it("lose nothing of an importer's layer", async () => {
      const { layer, config } = servedImage()
      const pusher = new ImagePusher(url)
      await pusher.image('team/app', '1', { layers: [layer], config })
      await pusher.blob('team/app', bytes)
      await using proxy = await startCuttingProxy(url, cutAt)
      await using source = new RegistryImageSource()
      const image = await source.resolve(parseImageName(`${proxy.host}/team/app:1`), {
        platform: defaultPlatform,
      })
      const stream = await source.openLayer(image.name, { ...blob, mediaType: 'application/octet-stream' })
      assert.ok((await buffer(stream)).equals(bytes))
      assert.equal(proxy.cuts, 1)
    })
  })

async function startDocker() {
  const stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const registry = await startDockerRegistry(path)
  stack.defer(() => registry.stop())
  return { url: registry.url, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

function* piecesFrom(offset: number): Generator<Buffer> {
  for (let at = offset; at < bytes.length; at += 65_536) yield Buffer.from(bytes.subarray(at, at + 65_536))
}
