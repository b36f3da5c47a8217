import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { digestOf } from '../../src/storage/digest.ts'
import {
  formatImageName,
  formatReference,
  parseImageName,
  parseReference,
  parseRepositoryName,
  parseTag,
  referenceOf,
} from '../../src/storage/reference.ts'

const digest = digestOf(Buffer.from('x'))
const invalid = { name: 'DomainError', code: 'invalid' }

const alphanumeric = fc.stringMatching(/^[a-z0-9]{1,5}$/)
const separator = fc.constantFrom('.', '_', '__', '-', '---')
const component = fc
  .tuple(alphanumeric, fc.array(fc.tuple(separator, alphanumeric), { maxLength: 3 }))
  .map(([first, rest]) => first + rest.flat().join(''))
const repository = fc.array(component, { minLength: 1, maxLength: 4 }).map(parts => parts.join('/'))
const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/)
const registry = fc.constantFrom(
  'localhost',
  'localhost:5000',
  'example.org',
  'a-b.c:1',
  '[::1]:5000',
  '10.0.0.1',
)

describe('Repository names', () => {
  it('are parts of letters, digits and separators', () => {
    fc.assert(fc.property(repository, text => assert.equal(parseRepositoryName(text), text)))
  })

  it('may look like the words of a path', () => {
    for (const text of ['blobs', 'a/manifests/b', 'tags/list', 'v2', 'uploads/uploads', '0', 'a--b/c__d'])
      assert.equal(parseRepositoryName(text), text)
  })

  const bad = [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    '.',
    '..',
    'a/../b',
    'A',
    'a.',
    '.a',
    'a..b',
    'a___b',
    'a_-b',
    'a b',
    'a\n',
    'é',
    'a%2fb',
    'a:b',
    'a@b',
    'a\0b',
    'a'.repeat(256),
  ] // prettier-ignore
  for (const text of bad)
    it(`are not ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(() => parseRepositoryName(text), invalid)
    })
})

describe('Tags', () => {
  it('are up to 128 characters', () => {
    fc.assert(fc.property(tag, text => assert.equal(parseTag(text), text)))
    assert.equal(parseTag('x'.repeat(128)).length, 128)
  })

  for (const text of ['', '.a', '-a', 'a b', 'a/b', 'a:b', 'a\n', 'ü', 'x'.repeat(129)])
    it(`are not ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(() => parseTag(text), invalid)
    })
})

describe('References', () => {
  it('are tags or digests', () => {
    assert.deepEqual(parseReference('latest'), { kind: 'tag', tag: 'latest' })
    assert.deepEqual(parseReference(digest), { kind: 'digest', digest })
    assert.throws(() => parseReference('sha256:short'), invalid)
    fc.assert(fc.property(tag, text => assert.equal(formatReference(parseReference(text)), text)))
    assert.equal(formatReference(parseReference(digest)), digest)
  })
})

describe('Image names', () => {
  const examples: readonly [
    text: string,
    registry: string,
    repository: string,
    tag?: string | undefined,
    digest?: string,
  ][] = [
    ['debian', 'docker.io', 'library/debian', 'latest'],
    ['debian:12', 'docker.io', 'library/debian', '12'],
    ['team/app', 'docker.io', 'team/app', 'latest'],
    ['docker.io/debian', 'docker.io', 'library/debian', 'latest'],
    ['docker.io/team/app:1', 'docker.io', 'team/app', '1'],
    ['localhost/a', 'localhost', 'a', 'latest'],
    ['localhost:5000/a/b:c', 'localhost:5000', 'a/b', 'c'],
    ['127.0.0.1:5000/team/debian:12', '127.0.0.1:5000', 'team/debian', '12'],
    ['[::1]:5000/x', '[::1]:5000', 'x', 'latest'],
    ['[fe80::1]/x:y', '[fe80::1]', 'x', 'y'],
    ['registry.example.org/x', 'registry.example.org', 'x', 'latest'],
    [`a@${digest}`, 'docker.io', 'library/a', undefined, digest],
    [`example.org:443/a/b:c@${digest}`, 'example.org:443', 'a/b', 'c', digest],
  ]
  for (const [text, ...wanted] of examples)
    it(`are read from ${text.replace(digest, 'sha256:…')}`, () => {
      const name = parseImageName(text)
      assert.deepEqual(
        [name.registry, name.repository, name.tag, name.digest],
        [...wanted, undefined].slice(0, 4),
      )
    })

  const bad = [
    '',
    ':',
    'a:',
    ':a',
    '@',
    `@${digest}`,
    'a@sha256:short',
    `a@${digest}@${digest}`,
    'A',
    'a/B',
    'https://a.b/c',
    'localhost:x/a',
    'localhost:/a',
    'a b',
    '-.x/a',
    '[::1/a',
    'a.b/',
    'a.b//c',
    'a:b:c',
    '../a',
    'a.b:123456/c',
  ] // prettier-ignore
  for (const text of bad)
    it(`are not read from ${JSON.stringify(text.replaceAll(digest, 'sha256:…'))}`, () => {
      assert.throws(() => parseImageName(text), invalid)
    })

  it('are read as they are written', () => {
    const option = <Value>(values: fc.Arbitrary<Value>) => fc.option(values, { nil: undefined })
    fc.assert(
      fc.property(
        registry,
        repository,
        option(tag),
        option(fc.constant(digest)),
        (host, path, tag, digest) => {
          const text = `${host}/${path}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
          const name = parseImageName(text)
          assert.deepEqual([name.registry, name.repository, name.digest], [host, path, digest])
          assert.equal(name.tag, tag ?? (digest === undefined ? 'latest' : undefined))
          assert.deepEqual(parseImageName(formatImageName(name)), name)
        },
      ),
    )
  })

  it('are asked for by digest when there is one', () => {
    assert.deepEqual(referenceOf(parseImageName(`a:b@${digest}`)), { kind: 'digest', digest })
    assert.deepEqual(referenceOf(parseImageName('a:b')), { kind: 'tag', tag: 'b' })
    assert.deepEqual(referenceOf(parseImageName('a')), { kind: 'tag', tag: 'latest' })
  })
})
