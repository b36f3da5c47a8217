import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { parseImageName } from '../../../src/storage/reference.ts'
import {
  ConfiguredCredentials,
  type NamedCredentials,
} from '../../../src/storage/remote/credentials/configured-credentials.ts'
import { RegistryImageSource } from '../../../src/storage/remote/registry-image-source.ts'
import { type DockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts'
import { ImagePusher } from '../../support/image-pusher.ts'
import { skipWithout } from '../../support/programs.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { servedImage } from '../../support/served-image.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** Bcrypt of `alice-pw`. */
const users = { alice: '$2y$05$abcdefghijklmnopqrstuujEI7PSP.y28xMPOv5lBoTSzRZgCP7le' }
const { layer, config } = servedImage()

describe('An image of a private registry', { skip: await skipWithout('docker-registry') }, () => {
  const stack = new AsyncDisposableStack()
  let directory = ''
  let registry: DockerRegistry
  let host = ''
  before(async () => {
    const temporary = stack.use(await temporaryDirectory())
    directory = temporary.path
    const storage = join(directory, 'registry')
    const open = await startDockerRegistry(storage)
    await new ImagePusher(open.url).image('team/app', '1', { layers: [layer], config })
    await open.stop()
    registry = await startDockerRegistry(storage, { users })
    stack.defer(() => registry.stop())
    host = new URL(registry.url).host
    await secret('right', 'alice-pw')
    await secret('wrong', 'bob-pw')
    await secret(
      'config.json',
      JSON.stringify({ auths: { [host]: { auth: Buffer.from('alice:alice-pw').toString('base64') } } }),
    )
  })
  after(() => stack.disposeAsync())

  async function secret(name: string, text: string): Promise<void> {
    await writeFile(join(directory, name), text)
    await chmod(join(directory, name), 0o600)
  }
  const named = (name: string, repositories = ['**']): NamedCredentials => ({
    name,
    registry: host,
    repositories,
    secret: { kind: 'password', username: 'alice', file: join(directory, name) },
  })

  async function read(credentials: ConfiguredCredentials | undefined, name?: string): Promise<Buffer> {
    await using source = new RegistryImageSource({ credentials })
    const options = { credentials: name, platform: defaultPlatform }
    const image = await source.resolve(parseImageName(`${host}/team/app:1`), options)
    const [first] = image.layers
    assert.ok(first)
    await source.confirmLayers(image.name, [first.descriptor], options)
    return await buffer(await source.openLayer(image.name, first.descriptor, options))
  }

  it('is not had by nobody', async () => {
    await rejectsWith('unauthorized', read(undefined))
    await rejectsWith(
      'unauthorized',
      read(new ConfiguredCredentials({ named: [named('right', ['other/*'])] })),
    )
  })

  it('is had with a password, chosen or named', async () => {
    assert.deepEqual(await read(new ConfiguredCredentials({ named: [named('right')] })), layer)
    const both = new ConfiguredCredentials({ named: [named('wrong'), named('right')] })
    assert.deepEqual(await read(both, 'right'), layer)
    const { message } = await rejectsWith('unauthorized', read(both))
    assert.match(message, /the user alice may not pull it, or the password is wrong \(credentials wrong\)/)
    assert.doesNotMatch(message, /bob-pw/)
  })

  it("is had with docker's file", async () => {
    const credentials = new ConfiguredCredentials({ dockerConfigFile: join(directory, 'config.json') })
    assert.deepEqual(await read(credentials), layer)
  })

  it('is not had by nobody after somebody else, through one source', async () => {
    const credentials = new ConfiguredCredentials({
      named: [named('right', ['none']), named('wrong', ['none'])],
    })
    const asRight = new ConfiguredCredentials({ named: [named('right')] })
    let who = asRight
    await using source = new RegistryImageSource({
      credentials: { isEmpty: false, choose: (...args) => who.choose(...args) },
    })
    const image = parseImageName(`${host}/team/app:1`)
    await source.resolve(image, { platform: defaultPlatform })
    who = credentials
    await rejectsWith('unauthorized', source.resolve(image, { platform: defaultPlatform }))
    who = asRight
    await secret('right', 'changed')
    await rejectsWith('unauthorized', source.resolve(image, { platform: defaultPlatform }))
    await secret('right', 'alice-pw')
    await source.resolve(image, { platform: defaultPlatform })
  })
})
