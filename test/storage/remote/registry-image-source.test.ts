import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Digest } from '../../../src/storage/digest.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { parseImageName } from '../../../src/storage/reference.ts'
import type { Credentials } from '../../../src/storage/remote/credentials/credentials.ts'
import type { ResolvedImage } from '../../../src/storage/remote/image-source.ts'
import {
  RegistryImageSource,
  type RegistryImageSourceOptions,
} from '../../../src/storage/remote/registry-image-source.ts'
import { storeOf } from '../../support/credential-store.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type Script, type SeenRequest, serveScript } from '../../support/scripted-server.ts'
import { servedImage } from '../../support/served-image.ts'

const image = servedImage()
const alice: Credentials = { kind: 'password', username: 'alice', password: 'secret' }
const aliceBasic = `Basic ${Buffer.from('alice:secret').toString('base64')}`

/** Answers from an image's content; 404 for all else. */
function sound(served = image): Script {
  return ({ path }, response) => {
    const bytes = served.content.get(path)
    response.statusCode = bytes === undefined ? 404 : 200
    response.end(bytes)
  }
}

function challenge(response: ServerResponse, header: string): void {
  response.writeHead(401, { 'www-authenticate': header }).end('{"errors":[{"code":"UNAUTHORIZED"}]}')
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function sourceFor(host: string, withCredentials = false, options: RegistryImageSourceOptions = {}) {
  const credentials = withCredentials ? storeOf({ [host]: { name: 'ours', credentials: alice } }) : undefined
  return new RegistryImageSource({ credentials, ...options })
}

function resolve(source: RegistryImageSource, host: string): Promise<ResolvedImage> {
  return source.resolve(parseImageName(`${host}/a:1`), { platform: defaultPlatform })
}

async function readLayer(source: RegistryImageSource, host: string): Promise<Buffer> {
  const resolved = await resolve(source, host)
  const [layer] = resolved.layers
  assert.ok(layer)
  return await buffer(await source.openLayer(resolved.name, layer.descriptor))
}

/** A registry that wants a bearer token, and the service that gives it. */
function withTokens(accepts: (request: SeenRequest) => boolean, token: () => string): Script {
  return (request, response) => {
    if (request.path === '/token') json(response, 200, { token: token() })
    else if (accepts(request)) sound()(request, response)
    else
      challenge(
        response,
        `Bearer realm="http://${response.req.headers.host ?? ''}/token",service="the registry",scope="repository:a:pull"`,
      )
  }
}

describe('RegistryImageSource', () => {
  it('resolves an image and reads its layer', async () => {
    await using registry = await serveScript(sound())
    await using source = sourceFor(registry.host)
    assert.deepEqual(await readLayer(source, registry.host), image.layer)
  })

  describe('authentication', () => {
    it('gets one token for a repository, with service and scope, and keeps it', async () => {
      await using registry = await serveScript(
        withTokens(
          ({ authorization }) => authorization === 'Bearer t1',
          () => 't1',
        ),
      )
      await using source = sourceFor(registry.host, true)
      await readLayer(source, registry.host)
      await readLayer(source, registry.host)
      const [asked, ...more] = registry.at('/token')
      assert.deepEqual(more, [])
      assert.equal(asked?.query.get('service'), 'the registry')
      assert.equal(asked?.query.get('scope'), 'repository:a:pull')
      assert.equal(asked?.authorization, aliceBasic)
    })

    it('asks for a new token once when the one that it has is no longer accepted', async () => {
      let valid = 1
      let given = 0
      await using registry = await serveScript(
        withTokens(
          ({ authorization }) => authorization === `Bearer t${valid}`,
          () => `t${++given}`,
        ),
      )
      await using source = sourceFor(registry.host)
      await resolve(source, registry.host)
      valid = 2
      await resolve(source, registry.host)
      assert.equal(registry.at('/token').length, 2)
    })

    it('gives up when a fresh token is refused as well', async () => {
      await using registry = await serveScript(
        withTokens(
          () => false,
          () => 't',
        ),
      )
      await using source = sourceFor(registry.host)
      const error = await rejectsWith('unauthorized', resolve(source, registry.host))
      assert.match(error.message, /refuses a: no credentials were given/)
      assert.equal(registry.at('/token').length, 1)
    })

    it('sends Basic credentials only after it was asked for them', async () => {
      await using registry = await serveScript((request, response) => {
        if (request.authorization === aliceBasic) sound()(request, response)
        else challenge(response, 'Basic realm="here"')
      })
      await using source = sourceFor(registry.host, true)
      await resolve(source, registry.host)
      assert.deepEqual(
        registry.seen.map(({ authorization }) => authorization),
        [undefined, aliceBasic, aliceBasic],
      )
      await using anonymous = sourceFor(registry.host)
      await rejectsWith('unauthorized', resolve(anonymous, registry.host))
    })

    it('says who may not pull when credentials are refused', async () => {
      await using registry = await serveScript((_, response) => challenge(response, 'Basic realm="here"'))
      await using source = sourceFor(registry.host, true)
      const { message } = await rejectsWith('unauthorized', resolve(source, registry.host))
      assert.match(message, /the user alice may not pull it/)
      assert.doesNotMatch(message, /secret/)
    })

    for (const [what, body] of [
      ['no JSON', '<html>'],
      ['no object', '[]'],
      ['no token', '{"token":""}'],
      ['a token that is no text', '{"token":{}}'],
      ['a token that breaks out of its header', '{"token":"t\\r\\nx: y"}'],
    ] as const)
      it(`names the token service that sends ${what}`, async () => {
        await using registry = await serveScript((request, response) => {
          if (request.path === '/token') response.end(body)
          else challenge(response, `Bearer realm="http://${response.req.headers.host ?? ''}/token"`)
        })
        await using source = sourceFor(registry.host)
        const { message } = await rejectsWith('unavailable', resolve(source, registry.host))
        assert.match(message, /^The token service http:\/\/127\.0\.0\.1:\d+ of .* sent no token/)
      })

    it('names the token service that is broken, instead of asking for credentials', async () => {
      await using registry = await serveScript((request, response) => {
        if (request.path === '/token') json(response, 503, {})
        else challenge(response, `Bearer realm="http://${response.req.headers.host ?? ''}/token"`)
      })
      await using source = sourceFor(registry.host, true)
      const { message } = await rejectsWith('unavailable', resolve(source, registry.host))
      assert.match(message, /token service .* answered 503/)
    })

    it('does not wait for ever for a token service that sends a byte now and then', async () => {
      await using registry = await serveScript((request, response) => {
        if (request.path !== '/token') {
          challenge(response, `Bearer realm="http://${response.req.headers.host ?? ''}/token"`)
          return
        }
        const timer = setInterval(() => response.write(' '), 10)
        response.on('close', () => clearInterval(timer))
      })
      await using source = sourceFor(registry.host, false, { patience: { documentMs: 150 } })
      const { message } = await rejectsWith('unavailable', resolve(source, registry.host))
      assert.match(message, /sent no whole document in 150 ms/)
    })

    for (const realm of ['file:///etc/passwd', 'nowhere', 'data:application/json,{"token":"t"}', ''])
      it(`takes no token from the realm ${JSON.stringify(realm)}`, async () => {
        await using registry = await serveScript((_, response) =>
          challenge(response, `Bearer realm="${realm}"`),
        )
        await using source = sourceFor(registry.host, true)
        await rejectsWith('unauthorized', resolve(source, registry.host))
      })
  })

  describe('redirects', () => {
    it('follows one to another host without the credentials', async () => {
      await using storage = await serveScript(sound())
      await using registry = await serveScript((request, response) => {
        if (request.authorization !== aliceBasic) challenge(response, 'Basic realm="here"')
        else if (request.path.includes('/blobs/'))
          response.writeHead(307, { location: `http://${storage.host}${request.path}` }).end()
        else sound()(request, response)
      })
      await using source = sourceFor(registry.host, true)
      assert.deepEqual(await readLayer(source, registry.host), image.layer)
      assert.deepEqual(
        storage.seen.map(({ authorization }) => authorization),
        [undefined, undefined],
      )
    })

    it('keeps the credentials on a redirect to the registry itself', async () => {
      await using registry = await serveScript((request, response) => {
        if (request.authorization !== aliceBasic) challenge(response, 'Basic realm="here"')
        else if (request.path.startsWith('/v2/a/blobs/'))
          response.writeHead(302, { location: `/elsewhere${request.path}` }).end()
        else sound()({ ...request, path: request.path.replace('/elsewhere', '') }, response)
      })
      await using source = sourceFor(registry.host, true)
      assert.deepEqual(await readLayer(source, registry.host), image.layer)
    })

    it('gives no credentials to a storage that asks for them', async () => {
      await using collector = await serveScript((_, response) => json(response, 200, { token: 't' }))
      await using storage = await serveScript((_, response) =>
        challenge(response, `Bearer realm="http://${collector.host}/token"`),
      )
      await using registry = await serveScript((request, response) => {
        response.writeHead(307, { location: `http://${storage.host}${request.path}` }).end()
      })
      await using source = sourceFor(registry.host, true)
      const { message } = await rejectsWith('denied', resolve(source, registry.host))
      assert.match(message, new RegExp(`at http://${storage.host}, where it redirects to, answered 401`))
      assert.deepEqual(collector.seen, [])
    })

    for (const [what, location, words] of [
      ['to a file', 'file:///etc/passwd', /redirects to file:/],
      ['to data', 'data:,x', /redirects to data:/],
      ['to nowhere', 'http://[', /redirects to no address/],
    ] as const)
      it(`refuses one ${what}`, async () => {
        await using registry = await serveScript((_, response) => {
          response.writeHead(302, { location }).end()
        })
        await using source = sourceFor(registry.host)
        assert.match((await rejectsWith('unsupported', resolve(source, registry.host))).message, words)
      })

    it('ends a loop', async () => {
      await using registry = await serveScript(({ path }, response) => {
        response.writeHead(302, { location: path }).end()
      })
      await using source = sourceFor(registry.host)
      const { message } = await rejectsWith('unavailable', resolve(source, registry.host))
      assert.match(message, /redirects more than 5 times/)
      assert.equal(registry.seen.length, 6)
    })
  })

  describe('a registry that fails', () => {
    for (const [status, code, words] of [
      [403, 'denied', /refuses a/],
      [404, 'not_found', /does not have .*manifests\/1.*it says "MANIFEST_UNKNOWN: no such/],
      [418, 'unsupported', /answered 418/],
      [429, 'throttled', /slow down/],
      [500, 'unavailable', /answered 500/],
      [503, 'unavailable', /answered 503/],
    ] as const)
      it(`says what ${status} means`, async () => {
        const errors = [{ code: 'MANIFEST_UNKNOWN', message: 'no such\u001b[31mthing' }]
        await using registry = await serveScript((_, response) => json(response, status, { errors }))
        await using source = sourceFor(registry.host)
        assert.match((await rejectsWith(code, resolve(source, registry.host))).message, words)
      })

    it('is named when a layer breaks off', async () => {
      await using registry = await serveScript((request, response) => {
        if (request.path !== `/v2/a/blobs/${image.layerDigest}`) return sound()(request, response)
        response.writeHead(200, { 'content-length': image.layer.length })
        response.write(image.layer.subarray(0, 20), () => response.destroy())
      })
      await using source = sourceFor(registry.host)
      const { message } = await rejectsWith('unavailable', readLayer(source, registry.host))
      assert.match(message, new RegExp(`The registry ${registry.host} broke off its answer`))
    })

    it('is named when a layer stalls', async () => {
      await using registry = await serveScript((request, response) => {
        if (request.path !== `/v2/a/blobs/${image.layerDigest}`) return sound()(request, response)
        response.write(image.layer.subarray(0, 20))
      })
      await using source = sourceFor(registry.host, false, { patience: { silenceMs: 100 } })
      const { message } = await rejectsWith('unavailable', readLayer(source, registry.host))
      assert.match(message, /broke off its answer .*timeout/i)
    })

    it('is named when it never answers', async () => {
      await using registry = await serveScript(() => {})
      await using source = sourceFor(registry.host, false, { patience: { silenceMs: 100 } })
      const { message } = await rejectsWith('unavailable', resolve(source, registry.host))
      assert.match(message, /does not answer .*timeout/i)
    })

    it('is let go at once when the caller gives up, also in the middle of a layer', async () => {
      await using registry = await serveScript((request, response) => {
        if (request.path !== `/v2/a/blobs/${image.layerDigest}`) return sound()(request, response)
        response.write(image.layer.subarray(0, 20))
      })
      await using source = sourceFor(registry.host)
      const resolved = await resolve(source, registry.host)
      const controller = new AbortController()
      const [layer] = resolved.layers
      assert.ok(layer)
      const body = await source.openLayer(resolved.name, layer.descriptor, { signal: controller.signal })
      body.once('data', () => controller.abort())
      await assert.rejects(buffer(body), { name: 'AbortError' })
    })
  })

  describe('a registry that lies', () => {
    const swapped =
      (path: RegExp, bytes: Buffer): Script =>
      (request, response) => {
        if (path.test(request.path)) response.end(bytes)
        else sound()(request, response)
      }

    it('sends another manifest than the digest names', async () => {
      await using registry = await serveScript(swapped(/manifests/, Buffer.from('{}')))
      await using source = sourceFor(registry.host)
      const name = parseImageName(`${registry.host}/a@${image.manifestDigest}`)
      await rejectsWith('digest_mismatch', source.resolve(name, { platform: defaultPlatform }))
    })

    it('sends another config', async () => {
      await using registry = await serveScript(swapped(/blobs/, Buffer.from('{}')))
      await using source = sourceFor(registry.host)
      await rejectsWith('digest_mismatch', resolve(source, registry.host))
    })

    it('sends a manifest that never ends', async () => {
      await using registry = await serveScript((_, response) => {
        const chunk = Buffer.alloc(64 * 1024, ' ')
        const more = (): void => {
          while (response.write(chunk)) if (response.destroyed) return
          response.once('drain', more)
        }
        more()
      })
      await using source = sourceFor(registry.host)
      const { message } = await rejectsWith('too_large', resolve(source, registry.host))
      assert.match(message, /more than 4393216 bytes/)
    })

    it('compresses a blob on its way: the bytes are taken as they come, for digests are of these', async () => {
      await using registry = await serveScript((request, response) => {
        if (request.path === `/v2/a/blobs/${image.layerDigest}`)
          response.setHeader('content-encoding', 'gzip')
        sound()(request, response)
      })
      await using source = sourceFor(registry.host)
      assert.deepEqual(await readLayer(source, registry.host), image.layer)
    })

    it('compresses a manifest that was asked for plain', async () => {
      await using registry = await serveScript((_, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(image.manifest))
      })
      await using source = sourceFor(registry.host)
      await rejectsWith('invalid', resolve(source, registry.host))
    })

    it('offers more layers than any image has', async () => {
      const many = servedImage({ layers: 1001 })
      await using registry = await serveScript(sound(many))
      await using source = sourceFor(registry.host)
      const { message } = await rejectsWith('invalid', resolve(source, registry.host))
      assert.match(message, /has 1001 layers; at most 1000/)
    })

    it('calls its own index as the image of the index', async () => {
      const own = (digest: Digest): Buffer =>
        Buffer.from(
          JSON.stringify({
            schemaVersion: 2,
            mediaType: 'application/vnd.oci.image.index.v1+json',
            manifests: [
              {
                mediaType: 'application/vnd.oci.image.index.v1+json',
                digest,
                size: 1,
                platform: defaultPlatform,
              },
            ],
          }),
        )
      await using registry = await serveScript((_, response) => {
        response.end(own(image.manifestDigest))
      })
      await using source = sourceFor(registry.host)
      await rejectsWith('digest_mismatch', resolve(source, registry.host))
    })
  })
})
