import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../../src/storage/digest.ts'
import type { OpenBlobFrom } from '../../../src/storage/images/image-repository.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { ImageGraph } from '../../support/image-graph.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { scriptedRemote } from '../../support/remote-registry.ts'
import type { Script, SeenRequest } from '../../support/scripted-server.ts'
import { servedImage } from '../../support/served-image.ts'

const bytes = randomBytes(1_000_000)
const blob = { digest: digestOf(bytes), size: bytes.length }
const small = { digest: digestOf(bytes.subarray(0, 1000)), size: 1000 }
const sourceOf =
  (content: Buffer): OpenBlobFrom =>
  async offset =>
    Readable.from([Buffer.from(content.subarray(offset))])

/** What a registry keeps of uploads, and what goes wrong there. */
class Uploads {
  stored = Buffer.alloc(0)
  readonly log: string[] = []
  readonly closed: string[] = []
  /** Called before each PATCH; answers whether it has dealt with it. */
  patch: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean> = () => false
  put: (response: ServerResponse) => boolean = () => false
  location = (host: string, session: number): string =>
    `http://${host}/v2/team/app/blobs/uploads/${session}?_state=a%2Bb`
  #sessions = 0

  readonly script: Script = (request, response) => {
    // What is given up breaks off here as well.
    this.#answer(request, response).catch(() => {})
  }

  async #answer({ path, query }: SeenRequest, response: ServerResponse): Promise<void> {
    const { method = '', headers } = response.req
    const host = headers.host ?? ''
    this.log.push(`${method} ${path.replace('/v2/team/app/', '')} ${headers['content-range'] ?? ''}`.trim())
    if (method === 'POST') {
      this.stored = Buffer.alloc(0)
      this.#sessions += 1
      response.writeHead(202, { location: this.location(host, this.#sessions) }).end()
      return
    }
    if (method === 'PATCH') {
      if (await this.patch(response.req, response)) return
      this.stored = Buffer.concat([this.stored, await buffer(response.req)])
      response.writeHead(202, { location: `${path}?_state=next`, range: `0-${this.stored.length - 1}` }).end()
    } else if (method === 'GET') {
      response.writeHead(204, { range: `0-${Math.max(this.stored.length - 1, 0)}` }).end()
    } else if (method === 'PUT') {
      this.stored = Buffer.concat([this.stored, await buffer(response.req)])
      this.closed.push(`${query.get('_state') ?? ''} ${query.get('digest') ?? ''}`)
      if (!this.put(response)) response.writeHead(201).end()
    } else response.writeHead(method === 'DELETE' ? 204 : 404).end()
  }
}

describe('A blob that is sent to a registry', () => {
  it('goes at once when it is small, to where the registry says, to the letter', async () => {
    const uploads = new Uploads()
    await using remote = await scriptedRemote(uploads.script)
    await remote.repository.putBlob(small, sourceOf(bytes.subarray(0, 1000)))
    assert.deepEqual(uploads.log, ['POST blobs/uploads/', 'PUT blobs/uploads/1'])
    assert.deepEqual(uploads.closed, [`a+b ${small.digest}`])
    assert.ok(remote.server.seen.length === 2 && uploads.stored.equals(bytes.subarray(0, 1000)))
  })

  it('goes as a stream, and is closed where the last answer said', async () => {
    const uploads = new Uploads()
    uploads.location = (_, session) => `uploads-elsewhere/${session}`
    await using remote = await scriptedRemote(uploads.script)
    const stored: number[] = []
    await remote.repository.putBlob(blob, sourceOf(bytes), { onStored: count => void stored.push(count) })
    assert.ok(uploads.stored.equals(bytes))
    assert.deepEqual(uploads.log, [
      'POST blobs/uploads/',
      'PATCH blobs/uploads/uploads-elsewhere/1',
      'PUT blobs/uploads/uploads-elsewhere/1',
    ])
    assert.deepEqual(uploads.closed, [`next ${blob.digest}`])
    assert.equal(stored.at(-1), blob.size)
  })

  for (const [what, kept] of [
    ['a part', 300_000],
    ['nothing', 0],
  ] as const)
    it(`goes on after the registry broke off and kept ${what}`, async () => {
      const uploads = new Uploads()
      uploads.patch = async (request, response) => {
        if (uploads.log.filter(line => line.startsWith('PATCH')).length > 1) return false
        let read = Buffer.alloc(0)
        for await (const chunk of request) {
          read = Buffer.concat([read, chunk as Buffer])
          if (read.length >= 400_000) break
        }
        uploads.stored = read.subarray(0, kept)
        response.destroy()
        return true
      }
      await using remote = await scriptedRemote(uploads.script)
      const offsets: number[] = []
      await remote.repository.putBlob(blob, async (offset, options) => {
        offsets.push(offset)
        return await sourceOf(bytes)(offset, options)
      })
      assert.ok(uploads.stored.equals(bytes))
      assert.deepEqual(offsets, [0, kept])
      assert.deepEqual(uploads.log, [
        'POST blobs/uploads/',
        'PATCH blobs/uploads/1',
        'GET blobs/uploads/1',
        kept === 0 ? 'PATCH blobs/uploads/1' : `PATCH blobs/uploads/1 ${kept}-999999`,
        'PUT blobs/uploads/1',
      ])
    })

  it('may take longer than an answer may', async () => {
    const uploads = new Uploads()
    await using remote = await scriptedRemote(uploads.script, {}, { patience: { documentMs: 3000 } })
    await remote.repository.putBlob(blob, async () => Readable.from(withPause(bytes, 3500)))
    assert.ok(uploads.stored.equals(bytes))
    assert.deepEqual(uploads.log, ['POST blobs/uploads/', 'PATCH blobs/uploads/1', 'PUT blobs/uploads/1'])
  })

  it('is given up where what was sent is never answered', async () => {
    const uploads = new Uploads()
    uploads.patch = async request => {
      await buffer(request)
      return true
    }
    await using remote = await scriptedRemote(uploads.script, {}, { patience: { documentMs: 300 } })
    await rejectsWith('unavailable', remote.repository.putBlob(blob, sourceOf(bytes)))
    assert.deepEqual(uploads.closed, [])
  })

  it('begins again where the session is gone', async () => {
    const uploads = new Uploads()
    uploads.patch = async (request, response) => {
      if (request.url?.includes('uploads/1') !== true) return false
      await buffer(request)
      response.writeHead(502).end()
      return true
    }
    const gone: Script = (request, response) =>
      response.req.method === 'GET' ? response.writeHead(404).end() : uploads.script(request, response)
    await using remote = await scriptedRemote(gone)
    await remote.repository.putBlob(blob, sourceOf(bytes))
    assert.ok(uploads.stored.equals(bytes))
    assert.deepEqual(uploads.log, [
      'POST blobs/uploads/',
      'PATCH blobs/uploads/1',
      'DELETE blobs/uploads/1',
      'POST blobs/uploads/',
      'PATCH blobs/uploads/2',
      'PUT blobs/uploads/2',
    ])
  })

  it('goes in chunks where the registry has lost a stream', async () => {
    const large = randomBytes(40 * 1024 * 1024)
    const uploads = new Uploads()
    uploads.patch = async (request, response) => {
      if (request.url?.includes('uploads/1') !== true) return false
      response.destroy()
      return true
    }
    await using remote = await scriptedRemote((request, response) =>
      response.req.method === 'GET' ? response.writeHead(404).end() : uploads.script(request, response),
    )
    await remote.repository.putBlob({ digest: digestOf(large), size: large.length }, async offset =>
      Readable.from(slicesOf(large.subarray(offset)), { objectMode: false }),
    )
    assert.ok(uploads.stored.equals(large))
    assert.deepEqual(uploads.log.slice(3), [
      'POST blobs/uploads/',
      'PATCH blobs/uploads/2 0-33554431',
      'PATCH blobs/uploads/2 33554432-41943039',
      'PUT blobs/uploads/2',
    ])
  })

  it('is given up when it breaks off again and again, and its session ended', async () => {
    const uploads = new Uploads()
    uploads.patch = (_, response) => {
      response.destroy()
      return true
    }
    await using remote = await scriptedRemote(uploads.script)
    await rejectsWith('unavailable', remote.repository.putBlob(blob, sourceOf(bytes)))
    assert.equal(uploads.log.filter(line => line.startsWith('PATCH')).length, 6)
    assert.equal(uploads.log.at(-1), 'DELETE blobs/uploads/1')
    assert.deepEqual(uploads.closed, [])
  })

  it('is given up when the registry takes next to nothing each time', async () => {
    const uploads = new Uploads()
    uploads.patch = async (request, response) => {
      for await (const chunk of request) {
        uploads.stored = Buffer.concat([uploads.stored, (chunk as Buffer).subarray(0, 2)])
        break
      }
      response.destroy()
      return true
    }
    await using remote = await scriptedRemote(uploads.script)
    await rejectsWith('unavailable', remote.repository.putBlob(blob, sourceOf(bytes)))
    assert.equal(uploads.log.filter(line => line.startsWith('PATCH')).length, 6)
  })

  for (const [what, content, code] of [
    ['other bytes', randomBytes(blob.size), 'digest_mismatch'],
    ['fewer bytes', bytes.subarray(0, 999_999), 'size_mismatch'],
    ['more bytes', Buffer.concat([bytes, bytes]), 'size_mismatch'],
  ] as const)
    it(`is never closed when the source has ${what}`, async () => {
      const uploads = new Uploads()
      await using remote = await scriptedRemote(uploads.script)
      await rejectsWith(code, remote.repository.putBlob(blob, sourceOf(content)))
      assert.deepEqual(uploads.closed, [])
      // On another connection than what broke off, so it may come first.
      assert.ok(uploads.log.includes('DELETE blobs/uploads/1'))
      await rejectsWith(
        code,
        remote.repository.putBlob(
          small,
          sourceOf(content.subarray(0, code === 'digest_mismatch' ? 1000 : 999)),
        ),
      )
      assert.deepEqual(uploads.closed, [])
    })

  it('is there, although the answer that said so was lost', async () => {
    const uploads = new Uploads()
    let isThere = false
    uploads.put = response => {
      if (isThere) response.writeHead(404).end()
      else response.destroy()
      isThere = true
      return true
    }
    await using remote = await scriptedRemote((request, response) => {
      if (response.req.method === 'HEAD') response.writeHead(isThere ? 200 : 404).end()
      else uploads.script(request, response)
    })
    await remote.repository.putBlob(blob, sourceOf(bytes))
    assert.equal(uploads.closed.length, 2)
  })

  it('is what the registry says it is not', async () => {
    const uploads = new Uploads()
    uploads.put = response => {
      response
        .writeHead(400, { 'content-type': 'application/json' })
        .end('{"errors":[{"code":"DIGEST_INVALID"}]}')
      return true
    }
    await using remote = await scriptedRemote(uploads.script)
    await rejectsWith('digest_mismatch', remote.repository.putBlob(blob, sourceOf(bytes)))
  })

  for (const location of ['ftp://r.example/x', 'http://[', undefined])
    it(`is not sent to ${location ?? 'nowhere'}`, async () => {
      await using remote = await scriptedRemote((_, response) => {
        if (location !== undefined) response.setHeader('location', location)
        response.writeHead(202).end()
      })
      await rejectsWith('unsupported', remote.repository.putBlob(small, sourceOf(bytes.subarray(0, 1000))))
    })

  it('takes no credentials to another host', async () => {
    const uploads = new Uploads()
    await using storage = await scriptedRemote(uploads.script)
    const basic = (request: SeenRequest, response: ServerResponse): boolean => {
      if (request.authorization !== undefined) return true
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      return false
    }
    const credentials = {
      isEmpty: false,
      choose: () =>
        Promise.resolve({
          name: 'x',
          credentials: { kind: 'password', username: 'alice', password: 'secret' } as const,
        }),
      chooseForRegistry: () => Promise.resolve(undefined),
      confirm: () => {},
    }
    await using remote = await scriptedRemote(
      (request, response) => {
        if (basic(request, response))
          response
            .writeHead(202, { location: `http://${storage.server.host}/v2/team/app/blobs/uploads/9` })
            .end()
      },
      {},
      { credentials },
    )
    await remote.repository.putBlob(blob, sourceOf(bytes))
    assert.ok(uploads.stored.equals(bytes))
    assert.deepEqual(
      storage.server.seen.map(({ authorization }) => authorization),
      [undefined, undefined],
    )
  })
})

describe('A blob that is mounted at a registry', () => {
  const names = ['team/app', 'a', 'b', 'c', 'd'].map(parseRepositoryName)
  const large = { ...blob, size: 1024 * 1024 }

  it('is tried from three others, and then from anywhere; sessions are ended', async () => {
    await using remote = await scriptedRemote(({ query }, response) => {
      const isMounted = query.has('mount') && !query.has('from')
      if (response.req.method === 'DELETE') response.writeHead(204).end()
      else if (query.get('from') === 'b') response.writeHead(403).end()
      else response.writeHead(isMounted ? 201 : 202, { location: '/session' }).end()
    })
    assert.equal(await remote.repository.mountBlob(large, names), true)
    assert.deepEqual(
      remote.server.seen.map(({ path, query }) =>
        path === '/session' ? 'end' : (query.get('from') ?? 'any'),
      ),
      ['a', 'end', 'b', 'c', 'end', 'any'],
    )
  })

  it('is not there when the registry has it nowhere', async () => {
    await using remote = await scriptedRemote((_, response) =>
      response.writeHead(202, { location: '/session' }).end(),
    )
    assert.equal(await remote.repository.mountBlob(large, []), false)
    assert.equal(remote.server.seen.length, 2)
  })

  it('is not asked for anywhere where sending it takes no more requests', async () => {
    await using remote = await scriptedRemote((_, response) => response.writeHead(500).end())
    assert.equal(await remote.repository.mountBlob({ ...blob, size: 1024 }, []), false)
    assert.deepEqual(remote.server.seen, [])
  })

  it('is not passed over when the registry is not there at all', async () => {
    await using remote = await scriptedRemote((_, response) => response.writeHead(503).end())
    await rejectsWith('unavailable', remote.repository.mountBlob(blob, names))
  })
})

describe('A manifest that is sent to a registry', () => {
  const image = servedImage()
  const manifest = {
    digest: image.manifestDigest,
    mediaType: mediaTypes.ociManifest,
    size: image.manifest.length,
    bytes: image.manifest,
  }

  it('goes under each tag, and by digest when there is none', async () => {
    await using remote = await scriptedRemote((_, response) => response.writeHead(201).end())
    await remote.repository.putManifest(manifest, ['1', 'latest'].map(parseTag))
    await remote.repository.putManifest(manifest, [])
    assert.deepEqual(
      remote.server.seen.map(({ path }) => path.replace('/v2/team/app/manifests/', '')),
      ['1', 'latest', manifest.digest],
    )
  })

  it('does not meet another that refers to the same subject, for a registry that would list only one of them', async () => {
    const graph = new ImageGraph()
    const subject = graph.image({ layers: ['image'] })
    const referrers = ['one', 'two', 'three'].map(text => graph.image({ layers: [text], subject }))
    let listed: readonly string[] = []
    await using remote = await scriptedRemote(({ path }, response) => {
      const before = listed
      // Its list is read when the request comes, and written when it is answered.
      setTimeout(() => {
        listed = [...before, path.replace('/v2/team/app/manifests/', '')]
        response.writeHead(201, { 'oci-subject': subject.digest }).end()
      }, 20)
    })
    await Promise.all(referrers.map(one => remote.repository.putManifest(one, [])))
    assert.deepEqual(
      listed,
      referrers.map(({ digest }) => digest),
    )
  })

  it('is stored as it is, or it is an error', async () => {
    const other = digestOf(Buffer.from('other'))
    await using remote = await scriptedRemote((_, response) =>
      response.writeHead(201, { 'docker-content-digest': other }).end(),
    )
    await rejectsWith('digest_mismatch', remote.repository.putManifest(manifest, []))
  })

  for (const [status, code, expected] of [
    [400, 'MANIFEST_BLOB_UNKNOWN', 'missing_reference'],
    [404, 'MANIFEST_BLOB_UNKNOWN', 'missing_reference'],
    [400, 'MANIFEST_INVALID', 'invalid'],
    [403, 'DENIED', 'denied'],
    [409, 'CONFLICT', 'conflict'],
    [412, 'X', 'conflict'],
    [413, 'SIZE_INVALID', 'too_large'],
    [405, 'UNSUPPORTED', 'unsupported'],
    [500, 'UNKNOWN', 'unavailable'],
  ] as const)
    it(`is refused as ${expected} by ${status} ${code}`, async () => {
      await using remote = await scriptedRemote((_, response) =>
        response
          .writeHead(status, { 'content-type': 'application/json' })
          .end(JSON.stringify({ errors: [{ code }] })),
      )
      await rejectsWith(expected, remote.repository.putManifest(manifest, []))
    })

  for (const status of [405, 400])
    it(`keeps its tag where tags cannot be deleted (${status}): never by digest in its place`, async () => {
      await using remote = await scriptedRemote((_, response) =>
        response.writeHead(status).end('{"errors":[{"code":"UNSUPPORTED"}]}'),
      )
      const { message } = await rejectsWith('unsupported', remote.repository.deleteTag(parseTag('1')))
      assert.match(message, /does not delete tags, so team\/app:1 stays/)
      assert.equal(remote.server.seen.length, 1)
    })

  it('loses its tag', async () => {
    await using remote = await scriptedRemote((_, response) => response.writeHead(202).end())
    await remote.repository.deleteTag(parseTag('1'))
    assert.deepEqual(remote.told, ['DELETE manifest 202'])
  })
})

function* slicesOf(content: Buffer): Generator<Buffer> {
  for (let at = 0; at < content.length; at += 65_536) yield Buffer.from(content.subarray(at, at + 65_536))
}

async function* withPause(content: Buffer, ms: number): AsyncGenerator<Buffer> {
  yield Buffer.from(content.subarray(0, 100_000))
  await sleep(ms)
  yield Buffer.from(content.subarray(100_000))
}
