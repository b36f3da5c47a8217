import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { stringify } from 'yaml'
import { type LoadedConfig, loadConfig } from '../../src/config.ts'
import { isDomainError } from '../../src/errors.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const team = {
  name: 'team',
  registry: 'r.example:5000',
  username: 'alice',
  passwordFile: '/run/secrets/team',
}
const pushes = { name: 'ours', events: 'http://127.0.0.1:5001/events', registry: '127.0.0.1:5000' }

describe('The settings of whom and what to pull', () => {
  let directory: TemporaryDirectory
  before(async () => {
    directory = await temporaryDirectory()
  })
  after(() => directory.remove())

  async function load(importer: object): Promise<LoadedConfig> {
    const file = join(directory.path, 'varve.yaml')
    await writeFile(file, stringify({ importer }))
    return loadConfig({ file, environment: {} })
  }

  it('are empty unless given', () => {
    const { importer } = loadConfig({ environment: {} }).config
    assert.deepEqual([importer.credentials, importer.preimport], [[], []])
    assert.deepEqual([importer.dockerConfigFile, importer.credentialHelpers], [undefined, false])
  })

  it('have credentials, whose files are not read yet', async () => {
    const { config, settings } = await load({
      credentials: [team, { name: 'hub', identityTokenFile: '/run/secrets/hub', repositories: ['me/*'] }],
    })
    assert.deepEqual(config.importer.credentials, [
      { ...team, repositories: ['**'] },
      { name: 'hub', registry: 'docker.io', repositories: ['me/*'], identityTokenFile: '/run/secrets/hub' },
    ])
    const shown = settings.find(({ key }) => key === 'importer.credentials')
    assert.deepEqual(shown?.value, config.importer.credentials)
  })

  it('are JSON in the environment', () => {
    const environment = { VARVE_IMPORTER_CREDENTIALS: JSON.stringify([team]), VARVE_IMPORTER_PREIMPORT: '[]' }
    assert.equal(loadConfig({ environment }).config.importer.credentials[0]?.name, 'team')
  })

  it('have rules for what is pushed', async () => {
    const { config } = await load({ preimport: [pushes] })
    assert.deepEqual(config.importer.preimport, [
      { ...pushes, repositories: ['**'], tags: ['**'], priority: -10, fromBeginning: false },
    ])
  })

  for (const [what, importer, words] of [
    ['credentials without a secret', { credentials: [{ name: 'a' }] }, /give username and passwordFile/],
    ['credentials without a user', { credentials: [{ name: 'a', passwordFile: '/x' }] }, /give username/],
    [
      'credentials with two secrets',
      { credentials: [{ ...team, identityTokenFile: '/x' }] },
      /or identityTokenFile/,
    ],
    ['a password in the file itself', { credentials: [{ ...team, password: 'hunter2' }] }, /credentials\.0/],
    ['a registry with a scheme', { credentials: [{ ...team, registry: 'https://r' }] }, /without https/],
    [
      'credentials of what images take for a part of Docker Hub',
      { credentials: [{ ...team, registry: 'myhost' }] },
      /without a dot needs its port/,
    ],
    [
      'a rule that would pull from Docker Hub instead',
      { preimport: [{ ...pushes, registry: 'myhost' }] },
      /without a dot needs its port/,
    ],
    ['a stream with a password alone', { preimport: [{ ...pushes, events: 'http://:p@h/' }] }, /tokenFile/],
    ['a user with a colon', { credentials: [{ ...team, username: 'a:b' }] }, /no colon/],
    ['two of one name', { credentials: [team, team] }, /two of the name team/],
    ['two rules of one name', { preimport: [pushes, pushes] }, /two of the name ours/],
    ['a name that is a path', { preimport: [{ ...pushes, name: '../x' }] }, /preimport\.0\.name/],
    ['a stream with a password', { preimport: [{ ...pushes, events: 'http://u:p@h/' }] }, /tokenFile/],
    ['a stream that is no URL', { preimport: [{ ...pushes, events: 'localhost' }] }, /preimport\.0\.events/],
    [
      'a token without encryption',
      { preimport: [{ ...pushes, events: 'http://r.example/events', tokenFile: '/x' }] },
      /needs https/,
    ],
    ['no platforms', { preimport: [{ ...pushes, platforms: [] }] }, /platforms/],
  ] as const)
    it(`refuse ${what}`, async () => {
      await assert.rejects(load(importer), error => {
        assert.ok(isDomainError(error, 'invalid'), String(error))
        assert.match(error.message, words)
        assert.doesNotMatch(error.message, /hunter2/)
        return true
      })
    })
})
