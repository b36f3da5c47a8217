import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import type { StoredManifest } from '../../../src/storage/metadata/manifest-records.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { evilText } from '../../support/hostile/forms.ts'
import { type Asked, Liar, type Lie } from '../../support/hostile/liar.ts'
import {
  assertSentence,
  assertSound,
  type OwnPlace,
  openOwnPlace,
  patientRemote,
} from '../../support/hostile/stores.ts'
import { copyFrom, mirrorFrom } from '../../support/hostile/victims.ts'

/** Answers a GET with a document, and HEAD with what it says of it. */
function sends(
  response: Parameters<Lie>[1],
  { method }: Asked,
  body: string | Buffer,
  headers: Record<string, string> = {},
): true {
  const bytes = Buffer.from(body)
  response.writeHead(200, { 'content-length': String(bytes.length), ...headers })
  response.end(method === 'HEAD' ? undefined : bytes)
  return true
}

function sendsManifest(response: Parameters<Lie>[1], asked: Asked, manifest: StoredManifest): true {
  const { bytes, digest, mediaType } = manifest
  const headers = { 'content-type': mediaType, 'docker-content-digest': digest }
  return sends(response, asked, Buffer.from(bytes), headers)
}

const ociIndex = { 'content-type': mediaTypes.ociIndex }

/** An index of others, under the tag. */
function nested(liar: Liar, depth: number): StoredManifest {
  let inner = liar.image.index
  for (let count = 0; count < depth; count += 1)
    inner = liar.image.graph.index([{ child: inner }], { n: count })
  return inner
}

/** Of a blob of our own text, with whatever else. */
function described(text: string): { mediaType: string; digest: string; size: number } {
  return { mediaType: 'application/octet-stream', digest: digestOf(Buffer.from(text)), size: text.length }
}

interface Told {
  readonly lie: Lie
  /** Of the failure; undefined: it is copied all the same. */
  readonly code?: string
}

const lies: Readonly<Record<string, Told>> = {
  'HEAD of the tag names another manifest than it sends': {
    lie: (asked, response, liar) =>
      asked.place === 'tag' && asked.method === 'HEAD'
        ? sendsManifest(response, asked, { ...liar.image.index, digest: digestOf(Buffer.from('none')) })
        : false,
    code: 'not_found',
  },
  'a digest sends another manifest that is right in itself': {
    lie: (asked, response, liar) =>
      asked.name === liar.image.index.digest ? sendsManifest(response, asked, liar.image.image) : false,
    code: 'digest_mismatch',
  },
  'the same, with the header of the one that was asked for': {
    lie: (asked, response, liar) =>
      asked.name === liar.image.index.digest
        ? sendsManifest(response, asked, { ...liar.image.image, digest: liar.image.index.digest })
        : false,
    code: 'digest_mismatch',
  },
  'the type changes between HEAD and GET': {
    lie: (asked, response, liar) =>
      asked.name === '1' && asked.method === 'HEAD'
        ? sendsManifest(response, asked, { ...liar.image.index, mediaType: mediaTypes.dockerManifest })
        : false,
  },
  'an index comes as an image': {
    lie: (asked, response, liar) =>
      asked.place === 'manifest' && asked.name === liar.image.index.digest
        ? sendsManifest(response, asked, { ...liar.image.index, mediaType: mediaTypes.ociManifest })
        : false,
    code: 'invalid',
  },
  'the tag names something else each time': {
    lie: (asked, response, liar) => {
      if (asked.place !== 'tag' || asked.name !== '1') return false
      return sendsManifest(response, asked, asked.before === 0 ? liar.image.index : liar.image.image)
    },
  },
  'a manifest of schema 1': {
    lie: (asked, response) =>
      asked.place === 'tag' && asked.name === '1'
        ? sends(
            response,
            asked,
            JSON.stringify({ schemaVersion: 1, name: 'a', tag: '1', fsLayers: [], history: [] }),
            {
              'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws',
            },
          )
        : false,
    code: 'invalid',
  },
  'a manifest whose type is an escape sequence of a megabyte': {
    lie: (asked, response) =>
      asked.place === 'tag' && asked.name === '1'
        ? sends(response, asked, JSON.stringify({ mediaType: evilText.repeat(50_000) }))
        : false,
    code: 'invalid',
  },
  'a manifest that is an image and an index': {
    lie: (asked, response, liar) => {
      if (asked.place !== 'tag' && asked.place !== 'manifest') return false
      const both = liar.image.graph.index([{ child: liar.image.image }], {
        layers: [],
        config: described('c'),
      })
      return sendsManifest(response, asked, both)
    },
    code: 'invalid',
  },
  'a layer of a petabyte': {
    lie: (asked, response, liar) => {
      if (asked.place !== 'tag' && asked.place !== 'manifest') return false
      const layers = [{ ...described('huge'), size: 1e15 }]
      const config = liar.image.graph.blob('{}', mediaTypes.ociConfig)
      return sendsManifest(
        response,
        asked,
        liar.image.graph.add({ mediaType: mediaTypes.ociManifest, config, layers }),
      )
    },
    code: 'not_found',
  },
  'a layer of less than nothing': {
    lie: (asked, response, liar) => {
      if (asked.place !== 'tag' && asked.place !== 'manifest') return false
      const layers = [{ ...described('less'), size: -1 }]
      const config = liar.image.graph.blob('{}', mediaTypes.ociConfig)
      return sendsManifest(
        response,
        asked,
        liar.image.graph.add({ mediaType: mediaTypes.ociManifest, config, layers }),
      )
    },
    code: 'invalid',
  },
  'an index of more children than any image has': {
    lie: (asked, response, liar) => {
      if (asked.name !== '1') return false
      const manifests = Array.from({ length: 20_000 }, (_, n) => ({
        ...described(`${n}`),
        mediaType: mediaTypes.ociManifest,
      }))
      return sendsManifest(
        response,
        asked,
        liar.image.graph.add({ mediaType: mediaTypes.ociIndex, manifests }),
      )
    },
    code: 'too_large',
  },
  'indexes in indexes, a hundred deep': {
    lie: (asked, response, liar) =>
      asked.place === 'tag' && asked.name === '1' ? sendsManifest(response, asked, nested(liar, 100)) : false,
    code: 'too_large',
  },
  'an image of 30 000 layers that are nowhere': {
    lie: (asked, response, liar) => {
      if (asked.name !== '1') return false
      const layers = Array.from({ length: 30_000 }, (_, n) => described(`${n}`))
      const config = liar.image.graph.blob('{}', mediaTypes.ociConfig)
      return sendsManifest(
        response,
        asked,
        liar.image.graph.add({ mediaType: mediaTypes.ociManifest, config, layers }),
      )
    },
    code: 'not_found',
  },
  'referrers of referrers without an end': {
    lie: (asked, response, liar) => {
      if (asked.place !== 'referrers') return false
      const subject = [...liar.image.graph.manifests.values()].at(-1) ?? liar.image.index
      const next = liar.image.graph.image({ layers: [asked.name], subject, artifactType: 'x/y' })
      const { mediaType, digest, size } = next
      return sends(response, asked, JSON.stringify({ manifests: [{ mediaType, digest, size }] }), ociIndex)
    },
    code: 'too_large',
  },
  'a referrer that is the image itself': {
    lie: (asked, response, liar) => {
      if (asked.place !== 'referrers') return false
      const { mediaType, digest, size } = liar.image.index
      return sends(response, asked, JSON.stringify({ manifests: [{ mediaType, digest, size }] }), ociIndex)
    },
  },
  'a referrer that refers to something else': {
    lie: (asked, response, liar) => {
      if (asked.place !== 'referrers') return false
      const { mediaType, digest, size } = liar.image.graph.image({
        layers: ['other'],
        subject: liar.image.referrer,
      })
      return sends(response, asked, JSON.stringify({ manifests: [{ mediaType, digest, size }] }), ociIndex)
    },
  },
  'referrers in pages that lead to another registry': {
    lie: (asked, response) => {
      if (asked.place !== 'referrers') return false
      const link = '<http://127.0.0.1:1/v2/team/app/referrers/x>; rel="next"'
      return sends(response, asked, JSON.stringify({ manifests: [] }), { ...ociIndex, link })
    },
    code: 'unsupported',
  },
  'referrers in pages that lead in a circle': {
    lie: (asked, response) => {
      if (asked.place !== 'referrers') return false
      const link = `<${asked.path}?n=${asked.before % 3}>; rel="next"`
      return sends(response, asked, JSON.stringify({ manifests: [] }), { ...ociIndex, link })
    },
    code: 'unsupported',
  },
  'referrers in pages without an end': {
    lie: (asked, response) => {
      if (asked.place !== 'referrers') return false
      const link = `<${asked.path}?n=${asked.before}>; rel="next"`
      return sends(response, asked, JSON.stringify({ manifests: [] }), { ...ociIndex, link })
    },
    code: 'too_large',
  },
  'a blob in the place of a part of it': {
    lie: (asked, response, liar) => {
      if (asked.place !== 'blob' || asked.method === 'HEAD') return false
      const { body } = liar.truthOf({ ...asked, range: undefined })
      if (asked.range !== undefined) return sends(response, asked, body)
      response.writeHead(200, { 'content-length': String(body.length) })
      response.write(body.subarray(0, body.length >> 1), () => response.destroy())
      return true
    },
  },
  ...Object.fromEntries(
    [
      ['begins elsewhere', (first: number, size: number) => `bytes ${first - 1}-${size - 1}/${size}`],
      ['ends elsewhere', (first: number, size: number) => `bytes ${first}-${size + 5}/${size}`],
      ['is of another size', (first: number, size: number) => `bytes ${first}-${size - 1}/${size * 2}`],
      ['is none', () => 'bytes */*'],
      ['goes backwards', (first: number, size: number) => `bytes ${size}-${first}/${size}`],
    ].map(([what, range]): [string, Told] => [
      `a range that ${String(what)}`,
      {
        lie: (asked, response, liar) => {
          if (asked.place !== 'blob' || asked.method === 'HEAD') return false
          const { body } = liar.truthOf({ ...asked, range: undefined })
          if (asked.range === undefined) {
            response.writeHead(200, { 'content-length': String(body.length) })
            response.write(body.subarray(0, body.length >> 1), () => response.destroy())
            return true
          }
          const first = Number(/\d+/.exec(asked.range)?.[0])
          const said = (range as (first: number, size: number) => string)(first, body.length)
          response.writeHead(206, { 'content-range': said }).end(body.subarray(first))
          return true
        },
        code: 'unsupported',
      },
    ]),
  ),
  'a part that is of another blob': {
    lie: (asked, response, liar) => {
      if (asked.place !== 'blob' || asked.method === 'HEAD') return false
      const { body } = liar.truthOf({ ...asked, range: undefined })
      if (asked.range === undefined) {
        response.writeHead(200, { 'content-length': String(body.length) })
        response.write(body.subarray(0, body.length >> 1), () => response.destroy())
        return true
      }
      const first = Number(/\d+/.exec(asked.range)?.[0])
      const range = `bytes ${first}-${body.length - 1}/${body.length}`
      response.writeHead(206, { 'content-range': range }).end(Buffer.alloc(body.length - first, 'z'))
      return true
    },
    code: 'digest_mismatch',
  },
}

describe('a copy from a registry with one lie', { concurrency: 8 }, () => {
  let to: OwnPlace
  before(async () => {
    to = await openOwnPlace()
  })
  after(() => to[Symbol.asyncDispose]())

  for (const [what, { lie, code }] of Object.entries(lies))
    it(what, async () => {
      await using liar = await Liar.start(what, lie)
      const target = `lies/${what.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`
      const failure = await copyFrom(liar, to.own, target, { remote: patientRemote })
      assert.equal(failure?.code, code, failure?.message)
      if (failure !== undefined) assertSentence(failure.message, liar)
      const tags = await assertSound(to.own.repository(parseRepositoryName(target)))
      assert.deepEqual(tags, failure === undefined ? ['1'] : [])
      assert.ok(liar.asked.length < 3100, `${liar.asked.length} questions`)
    })
})

describe('a mirror job of lists that lie', { concurrency: 8 }, () => {
  let to: OwnPlace
  before(async () => {
    to = await openOwnPlace()
  })
  after(() => to[Symbol.asyncDispose]())

  const badTags = [
    '',
    '.',
    '..',
    '-a',
    'a/b',
    'a b',
    'x'.repeat(129),
    `${evilText}`,
    '../../1',
    'ü',
    '1\n',
    5,
    null,
    {},
  ]
  const badNames = [
    '',
    '/',
    '..',
    '../etc',
    'a//b',
    'A/B',
    'team/app/',
    `${evilText}`,
    'x'.repeat(300),
    7,
    ['team/app'],
  ]

  it('leaves out tags that are none', async () => {
    await using liar = await Liar.start('bad tags', (asked, response) =>
      asked.place === 'tags'
        ? sends(response, asked, JSON.stringify({ tags: [...badTags, '1', '1'] }))
        : false,
    )
    const { end, results } = await mirrorFrom(liar, to.own, 'bad-tags')
    assert.equal(end.outcome, 'ok', JSON.stringify(results))
    assert.deepEqual(
      results.map(({ tag }) => tag),
      ['1'],
    )
  })

  it('leaves out repositories that are none', async () => {
    await using liar = await Liar.start('bad names', (asked, response) =>
      asked.place === 'catalog'
        ? sends(response, asked, JSON.stringify({ repositories: [...badNames, 'team/app'] }))
        : false,
    )
    const { end, results } = await mirrorFrom(liar, to.own, 'bad-names')
    assert.equal(end.outcome, 'ok', JSON.stringify(results))
    assert.deepEqual(
      results.map(({ target }) => target),
      ['bad-names/team/app'],
    )
  })

  for (const [what, linkOf] of [
    ['in a circle', (asked: Asked) => `<${asked.path}?n=${asked.before % 3}>; rel="next"`],
    ['to another registry', () => '<http://127.0.0.1:1/v2/_catalog>; rel="next"'],
    ['to an address of the own machine', () => '<//localhost:1/v2/_catalog>; rel="next"'],
    ['to what is no address', () => '<http://[>; rel="next"'],
    ['to a file', () => '<file:///etc/passwd>; rel="next"'],
  ] as const)
    for (const place of ['catalog', 'tags'] as const)
      it(`says of a list of ${place} that leads ${what}`, async () => {
        await using liar = await Liar.start(`${place} ${what}`, (asked, response, self) =>
          asked.place === place
            ? sends(response, asked, self.truthOf(asked).body, { link: linkOf(asked) })
            : false,
        )
        const { end, results } = await mirrorFrom(liar, to.own, `links-${place}`)
        assert.notEqual(end.outcome, 'ok')
        assert.deepEqual(
          results.filter(({ outcome }) => outcome === 'copied'),
          [],
        )
        assertSentence(results[0]?.reason ?? '', liar)
      })

  it('ends with a list of tags that does not end', async () => {
    let named = 0
    await using liar = await Liar.start('million', (asked, response) => {
      if (asked.place !== 'tags') return false
      const tags = Array.from({ length: 20_000 }, (_, n) => `t${named + n}`)
      named += tags.length
      return sends(response, asked, JSON.stringify({ tags }), {
        link: `<${asked.path}?n=${named}>; rel="next"`,
      })
    })
    const { end, results } = await mirrorFrom(liar, to.own, 'million')
    assert.notEqual(end.outcome, 'ok')
    assert.equal(results.length, 1)
    assertSentence(results[0]?.reason ?? '', liar)
    assert.ok(named <= 1_100_000, `${named} tags`)
  })
})
