import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSharedParts } from '../../src/cli/shared-parts.ts'
import { loadConfig } from '../../src/config.ts'
import { defaultPlatform } from '../../src/storage/platform.ts'
import { parseImageName } from '../../src/storage/reference.ts'
import { rejectsWith } from '../support/rejects.ts'
import { serveScript } from '../support/scripted-server.ts'

describe("The importer's connections", () => {
  const resolveFrom = async (host: string, allowed: string): Promise<unknown> => {
    const environment = { VARVE_REMOTE_PRIVATE_REDIRECTS: allowed }
    await using shared = createSharedParts(loadConfig({ environment }).config)
    return await shared.source.resolve(parseImageName(`${host}/a:1`), { platform: defaultPlatform })
  }

  it('go to no address of a private network that only a registry names, unless that is allowed', async () => {
    await using registry = await serveScript((_, response) => {
      response.writeHead(307, { location: 'http://169.254.169.254:1/latest' }).end()
    })
    const { message } = await rejectsWith('denied', resolveFrom(registry.host, '10.0.0.0/8'))
    assert.match(message, /169\.254\.169\.254 is at an address of a private network/)
    await using another = await serveScript((_, response) => {
      response.writeHead(307, { location: 'http://[::ffff:169.254.169.254]:1/latest' }).end()
    })
    await rejectsWith('denied', resolveFrom(another.host, ''))
  })
})
