import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { maxManifestBytes } from '../../src/storage/manifest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { keepLog } from '../support/log-lines.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'

const kept = keepLog()
const repository = 'hostile'
const config = Buffer.from('{}')

let registry: TestRegistry
let client: RegistryClient

before(async () => {
  registry = await startRegistry({ log: kept.log })
  client = new RegistryClient(registry.url)
  await client.pushBlob(repository, config)
})
after(() => registry.stop())

const descriptor = (more = '') =>
  `{"mediaType":"application/x","digest":"${digestOf(config)}","size":2${more}}`
const image = (more = '', layers = '') =>
  `{"schemaVersion":2,"config":${descriptor()},"layers":[${layers}]${more}}`
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

async function put(body: string | Buffer, type: string = mediaTypes.ociManifest) {
  return client.putManifest(repository, 'latest', Buffer.from(body), type)
}

/** Memory that this process, which is the registry's too, has at most while `work` runs. */
async function assertModest(work: () => Promise<unknown>): Promise<void> {
  const before = process.memoryUsage().rss
  await work()
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 512 * 1024 * 1024, `memory has grown by ${grown} bytes`)
}

describe('A manifest that is refused', () => {
  const refused: Readonly<Record<string, string | Buffer>> = {
    'is nested 100,000 deep and nothing else': nested(100_000),
    'is all opening brackets': '['.repeat(maxManifestBytes),
    'nests where a descriptor belongs': `{"schemaVersion":2,"config":${nested(100_000)},"layers":[]}`,
    'nests in its annotations': image(`,"annotations":{"a":${nested(100_000)}}`),
    'begins with a byte order mark': `\uFEFF${image()}`,
    'is not UTF-8': Buffer.concat([
      Buffer.from('{"a":"'),
      Buffer.from([0xff, 0xc0, 0x80]),
      Buffer.from(`",${image().slice(1)}`),
    ]),
    'is UTF-16': Buffer.from(image(), 'utf16le'),
    'has its parts in a prototype': `{"schemaVersion":2,"__proto__":${image()}}`,
    'has a size that is no safe integer': image('', descriptor().replace(':2', ':9007199254740993')),
    'has an infinite size': image('', descriptor().replace(':2', ':1e999')),
    'has a negative size': image('', descriptor().replace(':2', ':-1')),
    'has a broken size': image('', descriptor().replace(':2', ':1.5')),
    'has a size in words': image('', descriptor().replace(':2', ':"2"')),
    'is a number': '1'.repeat(100_000),
    'is null': 'null',
    'is a list': '[]',
    'is a string of a million escapes': `"${'\\u0000'.repeat(600_000)}"`,
    'has a schema version of another kind': image().replace(':2', ':"2"'),
    'has a digest of megabytes': image(
      '',
      descriptor().replace('sha256:', `sha256:${'a'.repeat(3_000_000)}`),
    ),
    'has an annotation of megabytes that is none': image(`,"annotations":{"${'k'.repeat(3_000_000)}":1}`),
    'has a media type of megabytes': image(`,"mediaType":"${'m'.repeat(3_000_000)}"`),
    'ends in the middle': image().slice(0, -1),
    'goes on after its end': `${image()}{}`,
  }
  for (const [what, body] of Object.entries(refused))
    it(`because it ${what}`, async () => {
      await assertModest(async () => {
        const { status, codes, bytes } = await put(body)
        assert.deepEqual([status, codes], [400, ['MANIFEST_INVALID']])
        assert.ok(bytes.length < 4096, `the answer has ${bytes.length} bytes`)
      })
    })

  it('because it is larger than is taken, announced or not', async () => {
    const body = Buffer.alloc(maxManifestBytes + 1, ' ')
    assert.deepEqual((await put(body)).codes, ['MANIFEST_INVALID'])
    assert.equal((await put(body)).status, 413)
  })

  it('because it names more blobs that are missing than an answer could list', async () => {
    const layers = Array.from({ length: 35_000 }, (_, index) => {
      const hex = index.toString(16).padStart(64, '0')
      return `{"mediaType":"a","digest":"sha256:${hex}","size":1}`
    })
    await assertModest(async () => {
      const { status, codes, bytes } = await put(image('', layers.join(',')))
      assert.equal(status, 400)
      assert.equal(codes.length, 1000)
      assert.deepEqual([...new Set(codes)], ['MANIFEST_BLOB_UNKNOWN'])
      assert.ok(bytes.length < 1_000_000)
    })
  })
})

describe('A manifest that is taken, byte for byte,', () => {
  const strange: Readonly<Record<string, string>> = {
    'has an unknown member that is nested 100,000 deep': image(`,"x":${nested(100_000)}`),
    'has a member called __proto__': image(',"__proto__":{"layers":7},"constructor":{"prototype":null}'),
    'has annotations called __proto__': image(',"annotations":{"__proto__":"x","constructor":"y"}'),
    'has a member twice': image(',"annotations":{"a":"1"},"annotations":{"a":"2"}'),
    'has unpaired surrogates': image(',"annotations":{"a":"\\ud800"}'),
    'has huge numbers where they do not matter': image(`,"x":1${'0'.repeat(100_000)},"y":-1e-999999`),
    'has 100,000 unknown members': image(
      Array.from({ length: 100_000 }, (_, index) => `,"x${index}":0`).join(''),
    ),
  }
  for (const [what, body] of Object.entries(strange))
    it(what, async () => {
      const bytes = Buffer.from(body)
      assert.equal((await put(bytes)).status, 201)
      const answer = await client.send('GET', `/v2/${repository}/manifests/${digestOf(bytes)}`)
      assert.deepEqual([answer.status, answer.bytes.equals(bytes)], [200, true])
    })

  it('names one layer 30,000 times', async () => {
    const body = image('', Array(30_000).fill(descriptor()).join(','))
    await assertModest(async () => assert.equal((await put(body)).status, 201))
  })

  it('is an index of 30,000 manifests', async () => {
    const body = `{"schemaVersion":2,"manifests":[${Array(30_000).fill(descriptor()).join(',')}]}`
    await assertModest(async () => assert.equal((await put(body, mediaTypes.ociIndex)).status, 201))
  })
})

it('No hostile manifest makes a failure of ours', () => {
  assert.deepEqual(
    kept.lines().filter(({ level }) => level !== 'info'),
    [],
  )
})
