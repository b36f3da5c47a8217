import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  credentialsIn,
  helperFor,
  parseDockerConfig,
} from '../../../../src/storage/remote/credentials/docker-config.ts'

const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') })
const password = (username: string, secret: string) => ({ kind: 'password', username, password: secret })
const read = (config: object, registry: string) =>
  credentialsIn(parseDockerConfig(JSON.stringify(config)), registry)

describe("docker's config.json", () => {
  for (const [what, key, registry] of [
    ['a host', 'r.example', 'r.example'],
    ['a host with a port', 'r.example:5000', 'r.example:5000'],
    ['a URL', 'https://r.example/v1/', 'r.example'],
    ['a plain URL', 'http://r.example:5000', 'r.example:5000'],
    ['Docker Hub', 'https://index.docker.io/v1/', 'docker.io'],
    ["Docker Hub's host", 'index.docker.io', 'docker.io'],
  ] as const)
    it(`has what stands under ${what}`, () =>
      assert.deepEqual(
        read({ auths: { [key]: auth('alice:se:cret') } }, registry),
        password('alice', 'se:cret'),
      ))

  it('has nothing for another registry, port, or part of a name', () => {
    const config = { auths: { 'r.example': auth('alice:secret') } }
    for (const registry of ['r.example:5000', 'evil.r.example', 'example', 'docker.io'])
      assert.equal(read(config, registry), undefined)
  })

  it('prefers the entry of the exact name', () => {
    const auths = { 'https://r.example/v1/': auth('old:1'), 'r.example': auth('new:2') }
    assert.deepEqual(read({ auths }, 'r.example'), password('new', '2'))
  })

  it('takes tokens before passwords', () => {
    const entry = auth('alice:secret')
    assert.deepEqual(read({ auths: { r: { ...entry, identitytoken: 'i' } } }, 'r'), {
      kind: 'identity-token',
      token: 'i',
    })
    assert.deepEqual(read({ auths: { r: { ...entry, identitytoken: 'i', registrytoken: 't' } } }, 'r'), {
      kind: 'registry-token',
      token: 't',
    })
  })

  it('takes a user and a password that are not encoded, and a padded one', () => {
    assert.deepEqual(read({ auths: { r: { username: 'a', password: 'b' } } }, 'r'), password('a', 'b'))
    assert.deepEqual(read({ auths: { r: auth('a:b\0\0') } }, 'r'), password('a', 'b'))
  })

  for (const entry of [{}, { auth: '' }, { auth: '####' }, auth('nocolon'), auth(':secret')])
    it(`has nobody in ${JSON.stringify(entry)}`, () =>
      assert.equal(read({ auths: { r: entry } }, 'r'), undefined))

  it('leaves all else in it alone, and takes one without anything', () => {
    assert.equal(read({ HttpHeaders: { a: 'b' }, psFormat: 'x' }, 'r'), undefined)
    assert.deepEqual(helperFor(parseDockerConfig('{}'), 'r'), undefined)
  })

  it('names the program of a registry, and else the one for all', () => {
    const config = parseDockerConfig(
      JSON.stringify({ credHelpers: { 'r.example': 'cloud' }, credsStore: 'pass' }),
    )
    assert.deepEqual(helperFor(config, 'r.example'), { helper: 'cloud', server: 'r.example' })
    assert.deepEqual(helperFor(config, 'other'), { helper: 'pass', server: 'other' })
    assert.deepEqual(helperFor(config, 'docker.io'), {
      helper: 'pass',
      server: 'https://index.docker.io/v1/',
    })
  })

  for (const text of [
    'no JSON',
    '[]',
    '{"auths":[]}',
    '{"credsStore":"../../tmp/x"}',
    '{"credHelpers":{"r":"a b"}}',
  ])
    it(`is not ${text}`, () => assert.throws(() => parseDockerConfig(text)))
})
