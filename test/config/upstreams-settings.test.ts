import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type ConfigInput, loadConfig } from '../../src/config.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { testSecret } from '../support/test-secrets.ts'

const load = (flags: ConfigInput['flags'], environment: ConfigInput['environment'] = {}) =>
  loadConfig({ environment, flags }).config

const refused = (flags: ConfigInput['flags'], why: RegExp, environment?: ConfigInput['environment']) =>
  assert.throws(() => load(flags, environment), why)

describe('settings of upstreams', () => {
  it('are none unless there are some', () => {
    const { upstreams, proxyCredentials } = load({})
    assert.deepEqual(upstreams, [])
    assert.equal(proxyCredentials, undefined)
  })

  it('are what goes with the registry unless they say something else', () => {
    const [hub, port] = load({
      upstreams: [
        { name: 'hub', registry: 'docker.io' },
        { name: 'port', registry: 'Registry.example:8443' },
      ],
    }).upstreams
    assert.deepEqual(
      [
        hub?.prefix,
        hub?.namespaces,
        hub?.library,
        hub?.tagFreshSeconds,
        hub?.evictAfterDays,
        hub?.keepAbsent,
      ],
      ['docker.io', ['docker.io'], true, 300, 7, false],
    )
    assert.deepEqual(
      [port?.registry, port?.prefix, port?.namespaces, port?.library],
      ['registry.example:8443', 'registry.example-8443', ['registry.example:8443'], false],
    )
  })

  it('come as JSON from the environment', () => {
    const { upstreams } = load({}, { VARVE_UPSTREAMS: '[{"name":"q","registry":"quay.io","root":true}]' })
    assert.deepEqual(
      upstreams.map(({ name, root }) => [name, root]),
      [['q', true]],
    )
  })

  it('are refused where one is plainly the registry itself', () => {
    const one = (registry: string) => ({ upstreams: [{ name: 'one', registry, prefix: 'up' }] })
    for (const [address, itself, others] of [
      ['127.0.0.1:5000', ['127.0.0.1:5000', 'localhost:5000', '[::1]:5000'], ['127.0.0.1:5001', 'localhost']],
      [':5000', ['localhost:5000', '127.1.2.3:5000'], ['a.example:5000', 'localhost:5001']],
      ['0.0.0.0:80', ['localhost:80'], ['10.0.0.1:80']],
      ['[::]:443', ['localhost:443'], ['docker.io']],
      ['192.0.2.1:5000', ['192.0.2.1:5000'], ['localhost:5000', '192.0.2.2:5000']],
    ] as const) {
      const flags = { 'registry.address': address }
      const why = /upstreams\.0\.registry.*is this registry itself \(registry\.address\)/
      for (const registry of itself) refused({ ...flags, ...one(registry), 'auth.open': true }, why)
      for (const registry of others) load({ ...flags, ...one(registry), 'auth.open': true })
    }
    refused({ 'proxy.remoteUrl': 'http://localhost:5000' }, /proxy\.remoteUrl.*is this registry itself/)
  })

  it('are refused where it would not be clear which is meant', () => {
    const one = { name: 'one', registry: 'a.example', prefix: 'a' }
    const two = { name: 'two', registry: 'b.example', prefix: 'b' }
    for (const [upstreams, why] of [
      [[one, { ...two, name: 'one' }], /two of the name one/],
      [[one, { ...two, prefix: 'a' }], /prefix of one of one and two is below/],
      [[one, { ...two, prefix: 'a/b' }], /prefix of one of one and two is below/],
      [
        [
          { ...one, prefix: 'a/b/c' },
          { ...two, prefix: 'a/b' },
        ],
        /is below/,
      ],
      [[one, { ...two, registry: 'a.example' }], /both meant by ns=a\.example/],
      [
        [
          { ...one, hosts: ['H.example'] },
          { ...two, hosts: ['h.example'] },
        ],
        /both meant by the host h\.example/,
      ],
      [
        [
          { ...one, root: true },
          { ...two, root: true },
        ],
        /only one can be/,
      ],
      [[{ ...one, prefix: 'A' }], /prefix/],
      [[{ ...one, prefix: 'a/' }], /prefix/],
      [[{ name: 'v6', registry: '[::1]:5000' }], /give one/],
      [[{ ...one, credentials: 'nobody' }], /upstreams\.0\.credentials.*none of the name nobody/],
      [[{ ...one, tagFreshSecond: 1 }], /tagFreshSecond/],
    ] as const)
      refused({ upstreams }, why)
    assert.equal(
      load({ upstreams: [one, { ...two, prefix: 'ab', registry: 'a.example', namespaces: [] }] }).upstreams
        .length,
      2,
    )
  })

  it('take credentials only for the registry that they are for', () => {
    const credentials = [{ name: 'us', registry: 'a.example', username: 'us', passwordFile: '/nowhere' }]
    const upstream = { name: 'one', registry: 'a.example', credentials: 'us' }
    assert.equal(
      load({ 'remote.credentials': credentials, upstreams: [upstream] }).upstreams[0]?.credentials,
      'us',
    )
    refused(
      { 'remote.credentials': credentials, upstreams: [{ ...upstream, registry: 'b.example' }] },
      /the credentials us are for a\.example, not for b\.example/,
    )
  })

  it('keep nothing while the registry is read-only', () => {
    const flags = { upstreams: [{ name: 'one', registry: 'a.example' }] }
    assert.equal(load(flags).upstreams[0]?.store, true)
    assert.equal(load({ ...flags, 'registry.readOnly': true }).upstreams[0]?.store, false)
  })

  it('can be written as users of distribution have them', () => {
    const environment = {
      REGISTRY_PROXY_REMOTEURL: 'https://registry-1.docker.io',
      REGISTRY_PROXY_USERNAME: 'us',
      REGISTRY_PROXY_PASSWORD: testSecret('proxy'),
    }
    const { config, settings } = loadConfig({ environment, flags: {} })
    const [upstream] = config.upstreams
    assert.deepEqual(
      [upstream?.registry, upstream?.prefix, upstream?.root, upstream?.library, upstream?.credentials],
      ['docker.io', 'docker.io', true, true, 'proxy:'],
    )
    assert.deepEqual(config.proxyCredentials, {
      registry: 'docker.io',
      username: 'us',
      password: testSecret('proxy'),
    })
    assert.ok(!JSON.stringify(settings).includes(testSecret('proxy')))
    const plain = load({ 'proxy.remoteUrl': 'http://mirror.example:5000' })
    assert.deepEqual(plain.remote.plainHttp, ['mirror.example:5000'])
    assert.equal(plain.upstreams[0]?.prefix, 'mirror.example-5000')
    assert.equal(plain.upstreams[0]?.credentials, undefined)
  })

  it('read the password of the proxy from a file, and refuse halves', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'password')
    await writeFile(file, `${testSecret('proxy')}\n`)
    const flags = { 'proxy.remoteUrl': 'https://a.example', 'proxy.passwordFile': file }
    assert.equal(load({ ...flags, 'proxy.username': 'us' }).proxyCredentials?.password, testSecret('proxy'))
    refused(flags, /proxy\.username/)
    refused({ 'proxy.username': 'us' }, /proxy\.username/)
    refused({ 'proxy.remoteUrl': 'https://us:word@a.example' }, /no user and password/)
    refused({ 'proxy.remoteUrl': 'https://a.example/path' }, /without a path/)
    refused(
      {
        'proxy.remoteUrl': 'https://a.example',
        upstreams: [{ name: 'one', registry: 'b.example', root: true }],
      },
      /only one can be/,
    )
  })
})
