import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../src/config.ts'
import { isDomainError } from '../src/errors.ts'
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
    const path = file('registry: { address: "file:1", drainSeconds: 3 }\nlog: { level: warn }')
    const input = {
      file: path,
      environment: { VARVE_REGISTRY_ADDRESS: 'env:1', VARVE_REGISTRY_DRAIN_SECONDS: '4' },
      flags: { 'registry.address': 'flag:1', 'importer.pool': undefined },
    }
    assert.deepEqual(sourceOf('registry.address', input), ['flag:1', 'flag'])
    assert.deepEqual(sourceOf('registry.drainSeconds', input), [4, 'environment'])
    assert.deepEqual(sourceOf('log.level', input), ['warn', 'file'])
    assert.deepEqual(sourceOf('registry.idleTimeoutSeconds', input), [60, 'default'])
    assert.deepEqual(sourceOf('importer.pool', input), [undefined, 'default'])
  })

  it("takes distribution's well-known variables", () => {
    const environment = {
      REGISTRY_HTTP_ADDR: '0.0.0.0:80',
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/srv/r',
    }
    const { config } = loadConfig({ environment })
    assert.deepEqual([config.registry.address, config.data], ['0.0.0.0:80', '/srv/r'])
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
