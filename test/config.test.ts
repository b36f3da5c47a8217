import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../src/config.ts'
import { isDomainError } from '../src/errors.ts'
import { defaultLayerLimits } from '../src/importer/layer/limits.ts'
import { defaultLayerPolicy } from '../src/importer/layer/policy.ts'
import { nearest } from '../src/nearest.ts'

describe('configuration', () => {
  let directory = ''
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'varve-config-'))
  })
  after(() => rmSync(directory, { recursive: true }))

  function file(text: string): string {
    const path = join(directory, 'varve.yaml')
    writeFileSync(path, text)
    return path
  }

  function sourceOf(key: string, input: Parameters<typeof loadConfig>[0]): [unknown, string] {
    const setting = loadConfig(input).settings.find(candidate => candidate.key === key)
    assert.ok(setting)
    return [setting.value, setting.source]
  }

  it('needs nothing: every setting has a default', () => {
    const { config } = loadConfig({ environment: {} })
    assert.equal(config.registry.address, '127.0.0.1:5000')
    assert.equal(config.importer.chains, join(config.data, 'chains'))
  })

  it('lets flags win over the environment, that over the file, and that over defaults', () => {
    const path = file('registry: { address: "127.0.0.1:1", drainSeconds: 3 }\nlog: { level: warn }')
    const input = {
      file: path,
      environment: { VARVE_REGISTRY_ADDRESS: '127.0.0.1:2', VARVE_REGISTRY_DRAIN_SECONDS: '4' },
      flags: { 'registry.address': '127.0.0.1:3', 'importer.pool': undefined },
    }
    assert.deepEqual(sourceOf('registry.address', input), ['127.0.0.1:3', 'flag'])
    assert.deepEqual(sourceOf('registry.drainSeconds', input), [4, 'environment'])
    assert.deepEqual(sourceOf('log.level', input), ['warn', 'file'])
    assert.deepEqual(sourceOf('registry.idleTimeoutSeconds', input), [60, 'default'])
    assert.deepEqual(sourceOf('importer.pool', input), [undefined, 'default'])
  })

  it('has the limits and the policy of layers that these have without it', () => {
    const { layers } = loadConfig({ environment: {} }).config.importer
    for (const [name, value] of Object.entries({ ...defaultLayerLimits, ...defaultLayerPolicy }))
      assert.equal(layers[name as keyof typeof layers], value, name)
  })

  it('takes the name that a setting had before', () => {
    const path = file('importer: { maxLayerBytes: 1000 }')
    const key = 'importer.layers.maxBytes'
    assert.deepEqual(sourceOf(key, { file: path, environment: {} }), [1000, 'file'])
    const environment = { VARVE_IMPORTER_MAX_LAYER_BYTES: '2000' }
    assert.deepEqual(sourceOf(key, { file: path, environment }), [2000, 'environment'])
    const now = { ...environment, VARVE_IMPORTER_LAYERS_MAX_BYTES: '3000' }
    assert.deepEqual(sourceOf(key, { environment: now }), [3000, 'environment'])
  })

  it('gives a reason for every limit of layers', () => {
    const { settings } = loadConfig({ environment: {} })
    const layers = settings.filter(({ key }) => key.startsWith('importer.layers.'))
    assert.ok(layers.length > 0)
    for (const { key, description } of layers) assert.match(description, /^[A-Z].{20,}\.$/, key)
  })

  it("takes distribution's well-known variables", () => {
    const environment = {
      REGISTRY_HTTP_ADDR: 'localhost:80',
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/srv/r',
    }
    const { config } = loadConfig({ environment })
    assert.deepEqual([config.registry.address, config.data], ['localhost:80', '/srv/r'])
  })

  it('takes yes and no from the environment as from a file', () => {
    const key = 'registry.readOnly'
    for (const [text, value] of [
      ['true', true],
      ['false', false],
      ['1', true],
      ['0', false],
    ] as const)
      assert.deepEqual(sourceOf(key, { environment: { VARVE_REGISTRY_READ_ONLY: text } }), [
        value,
        'environment',
      ])
    const fromFile = { file: file('registry:\n  readOnly: true\n'), environment: {} }
    assert.deepEqual(sourceOf(key, fromFile), [true, 'file'])
    assert.throws(
      () => loadConfig({ environment: { VARVE_REGISTRY_READ_ONLY: 'perhaps' } }),
      /registry\.readOnly/,
    )
  })

  it('takes a list as a list, or separated by commas', () => {
    const environment = { VARVE_REGISTRY_TRUSTED_PROXIES: '10.0.0.0/8, fd00::/8' }
    assert.deepEqual(loadConfig({ environment }).config.registry.trustedProxies, ['10.0.0.0/8', 'fd00::/8'])
    const path = file('registry: { trustedProxies: [10.0.0.1] }')
    assert.deepEqual(loadConfig({ file: path, environment: {} }).config.registry.trustedProxies, ['10.0.0.1'])
  })

  it('shows no secret, and takes them from files', () => {
    const environment = {
      VARVE_STORAGE_DRIVER: 's3',
      VARVE_STORAGE_S3_BUCKET: 'images',
      VARVE_STORAGE_S3_ACCESS_KEY_ID: 'AKIA',
      VARVE_STORAGE_S3_SECRET_ACCESS_KEY_FILE: file('s3cret\n'),
      VARVE_DATABASE_URL: 'postgres://varve:s3cret@db/varve',
    }
    const { config, settings } = loadConfig({ environment })
    assert.equal(config.storage.s3.secretAccessKey, 's3cret')
    assert.equal(config.database.url, 'postgres://varve:s3cret@db/varve')
    assert.doesNotMatch(JSON.stringify(settings), /s3cret/)
    assert.deepEqual(sourceOf('database.url', { environment }), ['(secret)', 'environment'])
  })

  it('reads webhooks with their secrets from files, and shows none of these', () => {
    const [secretFile, headersFile] = ['secret', 'headers'].map(name => join(directory, name))
    const secret = `whsec_${Buffer.alloc(24, 'x').toString('base64')}`
    writeFileSync(secretFile ?? '', `${secret}\n`)
    writeFileSync(headersFile ?? '', '# for the proxy\nAuthorization: Bearer t0ken\n\nX-A:b\n')
    const endpoint = { name: 'ci', url: 'https://ci.example.com/hooks/p4th', secretFile, headersFile }
    for (const input of [
      { file: file(JSON.stringify({ events: { endpoints: [endpoint] } })), environment: {} },
      { environment: { VARVE_EVENTS_ENDPOINTS: JSON.stringify([endpoint]) } },
    ]) {
      const { config, settings } = loadConfig(input)
      const [complete] = config.events.endpoints
      assert.equal(complete?.secret, secret)
      assert.deepEqual(complete.headers, { authorization: 'Bearer t0ken', 'x-a': 'b' })
      assert.deepEqual([complete.format, complete.batch, complete.repositories], ['distribution', 1, ['**']])
      const shown = JSON.stringify(settings)
      assert.match(shown, /https:\/\/ci\.example\.com\/…/)
      assert.doesNotMatch(shown, /p4th|t0ken|whsec_[A-Za-z0-9]/)
    }
  })

  it("takes distribution's names for its S3 driver", () => {
    const environment = {
      REGISTRY_STORAGE: 's3',
      REGISTRY_STORAGE_S3_BUCKET: 'images',
      REGISTRY_STORAGE_S3_REGIONENDPOINT: 'http://127.0.0.1:9000',
      REGISTRY_STORAGE_S3_FORCEPATHSTYLE: 'true',
    }
    const { storage } = loadConfig({ environment }).config
    assert.equal(storage.driver, 's3')
    assert.equal(storage.s3.endpoint, 'http://127.0.0.1:9000')
    assert.equal(storage.s3.pathStyle, true)
  })

  it('takes a section whose lines are all commented out', () => {
    assert.equal(
      loadConfig({ file: file('registry:\n  # address: x\n'), environment: {} }).config.log.level,
      'info',
    )
  })

  for (const [what, text, words] of [
    [
      'a misspelt key',
      'registry: { adress: x }',
      /registry\.adress does not exist; the nearest is registry\.address/,
    ],
    ['an unknown section', 'regsitry: { address: x }', /regsitry.* does not exist/],
    ['a value of the wrong kind', 'registry: { drainSeconds: soon }', /registry\.drainSeconds is not valid/],
    ['a value out of range', 'registry: { partBytes: 10 }', /registry\.partBytes is not valid/],
    [
      'memory without room for two parts',
      'registry: { partBytes: 9000000, uploadMemoryBytes: 17000000 }',
      /registry\.uploadMemoryBytes is not valid: .*two parts/,
    ],
    ['a bucket that is missing', 'storage: { driver: s3 }', /storage\.s3\.bucket is not valid/],
    [
      'Manta without an address',
      'storage: { driver: manta, s3: { bucket: images } }',
      /storage\.s3\.endpoint is not valid/,
    ],
    [
      'half of the credentials',
      'storage: { driver: s3, s3: { bucket: images, accessKeyId: a } }',
      /storage\.s3\.accessKeyId is not valid/,
    ],
    [
      'a secret that is given twice',
      'database: { url: "postgres://a/b", urlFile: /dev/null }',
      /database\.url is not valid: .*not both/,
    ],
    ['a file that is absent', 'database: { urlFile: /absent }', /database\.urlFile is not valid: \/absent/],
    [
      'two webhooks of one name',
      'events: { endpoints: [{ name: a, url: "http://x" }, { name: a, url: "http://y" }] }',
      /events\.endpoints is not valid: .*name a/,
    ],
    [
      "runs in distribution's format",
      'events: { endpoints: [{ name: a, url: "http://x", kinds: [tag, mirror] }] }',
      /events\.endpoints\.0\.kinds is not valid: .*cloudevents/,
    ],
    [
      'a webhook that is told of nothing',
      'events: { endpoints: [{ name: a, url: "http://x", kinds: [] }] }',
      /events\.endpoints\.0\.kinds/,
    ],
    [
      'a password in a URL',
      'events: { endpoints: [{ name: a, url: "http://u:p@x" }] }',
      /events\.endpoints\.0\.url is not valid: .*headersFile/,
    ],
    [
      'a misspelt key of a webhook',
      'events: { endpoints: [{ name: a, ulr: "http://x" }] }',
      /events\.endpoints\.0/,
    ],
    [
      'a secret that is none',
      'events: { endpoints: [{ name: a, url: "http://x", secretFile: /dev/null }] }',
      /secretFile is not valid: .*whsec_/,
    ],
    ['redirects without a store', 'storage: { redirect: true }', /storage\.redirect is not valid/],
    [
      'a misspelt key of a section in a section',
      'storage: { s3: { buket: x } }',
      /nearest is storage\.s3\.bucket/,
    ],
    [
      'a socket that no system can make',
      `importer: { socket: /${'a'.repeat(107)} }`,
      /importer\.socket is not valid: .* 107 bytes/,
    ],
    ['YAML that cannot be read', 'registry: [', /varve\.yaml cannot be read/],
    ['a prototype', '__proto__: { address: x }', /__proto__/],
  ] as const)
    it(`refuses ${what} by name`, () => {
      assert.throws(
        () => loadConfig({ file: file(text), environment: {} }),
        error =>
          isDomainError(error, 'invalid') && error.details.resource === 'config' && words.test(error.message),
      )
    })

  it('refuses a file that is not there', () => {
    assert.throws(() => loadConfig({ file: join(directory, 'absent.yaml') }), /absent\.yaml does not exist/)
  })
})

describe('nearest', () => {
  it('finds what was meant, and nothing when nothing is close', () => {
    assert.equal(nearest('registry.adress', ['registry.address', 'log.level']), 'registry.address')
    assert.equal(nearest('xyz', ['registry.address', 'log.level']), undefined)
  })
})
