import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import type { ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { parseTag } from '../../../src/storage/reference.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { scriptedRemote } from '../../support/remote-registry.ts'
import type { Script } from '../../support/scripted-server.ts'
import { servedImage } from '../../support/served-image.ts'

const { manifest, manifestDigest } = servedImage()
const tag = { kind: 'tag', tag: parseTag('1') } as const
const byDigest = { kind: 'digest', digest: manifestDigest } as const
const info = { digest: manifestDigest, mediaType: mediaTypes.ociManifest, size: manifest.length }
const sound = {
  'content-type': mediaTypes.ociManifest,
  'content-length': manifest.length,
  'docker-content-digest': manifestDigest,
}
const blob = randomBytes(200_000)
const digest = digestOf(blob)

function rangeIn(response: ServerResponse): readonly [number, number] | undefined {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(response.req.headers.range ?? '') ?? []
  if (first === undefined) return undefined
  return [Number(first), last === '' ? blob.length - 1 : Math.min(Number(last), blob.length - 1)]
}

/** As registries serve blobs. */
function serveBlob(response: ServerResponse): void {
  const range = rangeIn(response)
  if (range === undefined) return void response.writeHead(200, { 'content-length': blob.length }).end(blob)
  const [first, last] = range
  const part = blob.subarray(first, last + 1)
  const headers = {
    'content-range': `bytes ${first}-${last}/${blob.length}`,
    'content-length': part.length,
  }
  response.writeHead(206, headers).end(part)
}

describe('A manifest of a registry elsewhere', () => {
  it('is asked about by one HEAD, for all types that are known', async () => {
    const accepted: (string | undefined)[] = []
    await using remote = await scriptedRemote((_, response) => {
      accepted.push(response.req.headers.accept)
      response.writeHead(200, sound).end()
    })
    assert.deepEqual(await remote.repository.stat(tag), info)
    assert.deepEqual(remote.told, ['HEAD manifest 200'])
    for (const type of Object.values(mediaTypes).filter(one => !/config|image\.v1/.test(one)))
      assert.ok(accepted[0]?.includes(type), type)
  })

  for (const [what, status, headers] of [
    ['refuses HEAD', 405, {}],
    ['does not say its digest', 200, { ...sound, 'docker-content-digest': '' }],
    ['says a digest that is none', 200, { ...sound, 'docker-content-digest': 'sha256:x' }],
    ['does not say its size', 200, { ...sound, 'content-length': 0 }],
    ['says that it is larger than any', 200, { ...sound, 'content-length': 2 ** 40 }],
    ['says a type that is none', 200, { ...sound, 'content-type': 'text/html' }],
  ] as const)
    it(`is read when the registry ${what}`, async () => {
      await using remote = await scriptedRemote((_, response) => {
        if (response.req.method === 'HEAD') response.writeHead(status, headers).end()
        else response.writeHead(200, { 'content-type': 'application/json' }).end(manifest)
      })
      assert.deepEqual(await remote.repository.stat(tag), info)
    })

  it('is asked about where it was moved to', async () => {
    await using elsewhere = await scriptedRemote((_, response) => response.writeHead(200, sound).end())
    await using remote = await scriptedRemote(({ path }, response) =>
      response.writeHead(307, { location: `http://${elsewhere.server.host}${path}` }).end(),
    )
    assert.deepEqual(await remote.repository.stat(tag), info)
    assert.deepEqual(elsewhere.server.seen.length, 1)
  })

  it('is refused when the digest is another than it was asked by', async () => {
    const other = digestOf(Buffer.from('other'))
    await using remote = await scriptedRemote((_, response) =>
      response.writeHead(200, { ...sound, 'docker-content-digest': other }).end(),
    )
    await rejectsWith('digest_mismatch', remote.repository.stat(byDigest))
  })

  it('is refused when it has another digest than the registry says, or than it was asked by', async () => {
    await using remote = await scriptedRemote((_, response) =>
      response.writeHead(200, sound).end(Buffer.from(manifest.toString().replace('2', '3'))),
    )
    await rejectsWith('digest_mismatch', remote.repository.get(tag))
    await rejectsWith('digest_mismatch', remote.repository.get(byDigest))
  })

  it('is the bytes that came, of the type that they say, when nobody else says it', async () => {
    for (const type of ['application/json', 'text/plain; charset=utf-8', `${mediaTypes.ociManifest}; x=y`]) {
      await using remote = await scriptedRemote((_, response) =>
        response.writeHead(200, { 'content-type': type }).end(manifest),
      )
      assert.deepEqual(await remote.repository.get(tag), { ...info, bytes: manifest })
    }
  })

  for (const [what, body, code] of [
    ['is too large', Buffer.alloc(4 * 1048 * 1048 + 1, ' '), 'too_large'],
    ['is none', Buffer.from('<html>'), 'invalid'],
  ] as const)
    it(`is refused when it ${what}`, async () => {
      await using remote = await scriptedRemote((_, response) => response.end(body))
      await rejectsWith(code, remote.repository.get(tag))
    })
})

describe('A blob of a registry elsewhere', () => {
  for (const [what, head] of [
    ['HEAD', { status: 200, headers: { 'content-length': blob.length } }],
    ['one byte, where HEAD is redirected', { status: 307, headers: { location: '/elsewhere' } }],
    ['one byte, where there is no HEAD', { status: 405, headers: {} }],
    ['one byte, where HEAD does not tell', { status: 200, headers: { 'transfer-encoding': 'chunked' } }],
  ] as const)
    it(`tells its size by ${what}`, async () => {
      await using remote = await scriptedRemote((_, response) => {
        if (response.req.method === 'HEAD') response.writeHead(head.status, head.headers).end()
        else serveBlob(response)
      })
      assert.deepEqual(await remote.repository.statBlob(digest), { digest, size: blob.length })
    })

  it('is read without its range being heard', async () => {
    await using remote = await scriptedRemote((_, response) =>
      response.writeHead(200, { 'content-length': blob.length }).end(blob),
    )
    const { stream, size } = await remote.repository.openBlob(digest, { range: { first: 10, last: 99_999 } })
    assert.equal(size, blob.length)
    assert.ok((await buffer(stream)).equals(blob.subarray(10, 100_000)))
  })

  it('is not read when other bytes come than those that were asked for', async () => {
    await using remote = await scriptedRemote((_, response) =>
      response.writeHead(206, { 'content-range': 'bytes 0-9/20' }).end(Buffer.alloc(10)),
    )
    await rejectsWith('unsupported', remote.repository.openBlob(digest, { range: { first: 5, last: 9 } }))
  })

  it('is cut where it should have ended, when nobody said how long it is', async () => {
    await using remote = await scriptedRemote((_, response) => {
      if (response.req.method === 'HEAD') {
        response.writeHead(200, { 'content-length': blob.length }).end()
        return
      }
      response.writeHead(200)
      const more = (): void => {
        while (response.write(blob)) if (response.destroyed) return
        response.once('drain', more)
      }
      more()
    })
    const { stream, size } = await remote.repository.openBlob(digest)
    assert.equal(size, blob.length)
    await rejectsWith('size_mismatch', buffer(stream))
  })

  it('is not read at all when nobody says how long it is', async () => {
    await using remote = await scriptedRemote((_, response) => {
      response.writeHead(200)
      response.write(blob.subarray(0, 10))
      if (response.req.method === 'HEAD') response.end()
    })
    await rejectsWith('unsupported', remote.repository.openBlob(digest))
  })

  for (const [what, ignoresRanges] of [
    ['by ranges', false],
    ['from the beginning, where there are no ranges', true],
  ] as const)
    it(`goes on where it broke off, ${what}`, async () => {
      const ranges: (string | undefined)[] = []
      await using remote = await scriptedRemote((_, response) => {
        const [first] = rangeIn(response) ?? [0]
        ranges.push(response.req.headers.range)
        const breaksAt = ranges.length <= 3 ? ranges.length * 50_000 : undefined
        if (breaksAt === undefined)
          return ignoresRanges
            ? void response.writeHead(200, { 'content-length': blob.length }).end(blob)
            : serveBlob(response)
        const from = ignoresRanges ? 0 : first
        response.writeHead(from === 0 ? 200 : 206, {
          'content-length': blob.length - from,
          ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${blob.length - 1}/${blob.length}` }),
        })
        response.write(blob.subarray(from, breaksAt), () => setTimeout(() => response.destroy(), 20))
      })
      const { stream } = await remote.repository.openBlob(digest)
      assert.ok((await buffer(stream)).equals(blob))
      assert.deepEqual(ranges, [undefined, 'bytes=50000-', 'bytes=100000-', 'bytes=150000-'])
      assert.equal(remote.pauses.length, 3)
    })

  it('is given up when it breaks off again and again', async () => {
    await using remote = await scriptedRemote((_, response) => {
      response.writeHead(200, { 'content-length': blob.length })
      response.write(blob.subarray(0, 1000), () => setTimeout(() => response.destroy(), 5))
    })
    const { stream } = await remote.repository.openBlob(digest)
    await rejectsWith('unavailable', buffer(stream))
    assert.equal(remote.server.seen.length, 5)
  })

  it('does not go on with another blob', async () => {
    await using remote = await scriptedRemote((_, response) => {
      if (remote.server.seen.length > 1) {
        response.writeHead(206, { 'content-range': 'bytes 50000-59999/60000' }).end(Buffer.alloc(10_000))
        return
      }
      response.writeHead(200, { 'content-length': blob.length })
      response.write(blob.subarray(0, 50_000), () => setTimeout(() => response.destroy(), 20))
    })
    const { stream } = await remote.repository.openBlob(digest)
    await rejectsWith('unsupported', buffer(stream))
  })

  it('leaves nothing behind when its reader goes', async () => {
    const gone = Promise.withResolvers<void>()
    await using remote = await scriptedRemote((_, response) => {
      response.on('close', gone.resolve)
      response.writeHead(200, { 'content-length': blob.length })
      response.write(blob.subarray(0, 1000))
    })
    const { signal } = new AbortController()
    const { stream } = await remote.repository.openBlob(digest, { signal })
    stream.once('data', () => stream.destroy())
    stream.resume()
    await gone.promise
    assert.deepEqual(getEventListeners(signal, 'abort'), [])
  })
})

describe('Lists of a registry elsewhere', () => {
  const pages: Script = ({ path, query }, response) => {
    const last = query.get('last')
    const member = path.endsWith('_catalog') ? 'repositories' : 'tags'
    if (last === null) response.setHeader('link', `<${path}?last=b&n=2>; rel="next"`)
    const names = last === null ? ['a', 'b', '../x', 7] : ['c']
    response.end(JSON.stringify({ [member]: names }))
  }
  const listOf = (remote: Awaited<ReturnType<typeof scriptedRemote>>) =>
    Array.fromAsync<string>(remote.repository.tags())

  it('are read page by page, without what is no name', async () => {
    await using remote = await scriptedRemote(pages)
    assert.deepEqual(await listOf(remote), ['a', 'b', 'c'])
    assert.deepEqual(await Array.fromAsync<string>(remote.registry.repositories()), ['a', 'b', 'c'])
    assert.deepEqual(remote.told, ['GET tags 200', 'GET tags 200', 'GET catalog 200', 'GET catalog 200'])
  })

  it('are asked for in the size that the registry likes, where it does not like ours', async () => {
    await using remote = await scriptedRemote(({ query }, response) =>
      query.has('n') ? response.writeHead(400).end() : response.end('{"tags":["a"]}'),
    )
    assert.deepEqual(await listOf(remote), ['a'])
  })

  it('may be empty, or null', async () => {
    await using remote = await scriptedRemote((_, response) => response.end('{"tags":null}'))
    assert.deepEqual(await listOf(remote), [])
  })

  for (const [what, link, code] of [
    ['in a circle', '</v2/team/app/tags/list?n=1000>; rel="next"', 'unsupported'],
    ['elsewhere', '<http://169.254.169.254/v2/team/app/tags/list?last=b>; rel="next"', 'unsupported'],
    ['to what is no address', '<http://[>; rel="next"', 'unsupported'],
  ] as const)
    it(`do not lead ${what}`, async () => {
      await using remote = await scriptedRemote((_, response) => {
        response.setHeader('link', link)
        response.end('{"tags":["a"]}')
      })
      await rejectsWith(code, listOf(remote))
      assert.equal(remote.server.seen.length, 1)
    })

  it('end, when the registry has no end of them', async () => {
    let count = 0
    await using remote = await scriptedRemote(({ path }, response) => {
      response.setHeader('link', `<${path}?last=${count++}>; rel="next"`)
      response.end('{"manifests":[]}')
    })
    await rejectsWith('too_large', Array.fromAsync(remote.repository.referrers(digest)))
    assert.equal(count, 1000)
  })

  it('have at most a million names', async () => {
    const page = JSON.stringify({ tags: Array<string>(600_000).fill('a') })
    await using remote = await scriptedRemote(({ path, query }, response) => {
      if (!query.has('last')) response.setHeader('link', `<${path}?last=a>; rel="next"`)
      response.end(page)
    })
    await rejectsWith('too_large', listOf(remote))
  })

  for (const status of [404, 405])
    it(`say that there is no catalog (${status})`, async () => {
      await using remote = await scriptedRemote((_, response) => response.writeHead(status).end())
      await rejectsWith('unsupported', Array.fromAsync(remote.registry.repositories()))
    })
})

describe('Referrers of a registry elsewhere', () => {
  const referrer = (letter: string) => ({
    mediaType: mediaTypes.ociManifest,
    digest: digestOf(Buffer.from(letter)),
    size: 1,
    artifactType: 'application/x',
  })
  const index = (...manifests: unknown[]) =>
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })

  it('are read page by page, each once', async () => {
    await using remote = await scriptedRemote(({ path, query }, response) => {
      if (!query.has('last')) response.setHeader('link', `<${path}?last=1>; rel="next"`)
      response.end(index(referrer('a'), { digest: 'x' }, query.has('last') ? referrer('b') : null))
    })
    const found = await Array.fromAsync(remote.repository.referrers(digest))
    assert.deepEqual(
      found.map(one => one.digest),
      [referrer('a').digest, referrer('b').digest],
    )
  })

  for (const status of [400, 404, 405])
    it(`are those of the tag in place of the API (${status})`, async () => {
      await using remote = await scriptedRemote(({ path }, response) => {
        if (path === `/v2/team/app/manifests/${digest.replace(':', '-')}`) response.end(index(referrer('a')))
        else response.writeHead(status).end()
      })
      const [found] = await Array.fromAsync(remote.repository.referrers(digest))
      assert.equal(found?.artifactType, 'application/x')
    })
})
