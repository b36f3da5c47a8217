import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { describeTrust, parseOwnImage } from '../../src/cli/trust-command.ts'
import { parseTenantName } from '../../src/storage/accounts/names.ts'
import type { Digest } from '../../src/storage/digest.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { rejectsWith } from '../support/rejects.ts'
import { runVarve } from '../support/run-varve.ts'
import { serveRegistry } from '../support/served-registry.ts'
import { simpleSigningPayload } from '../support/sigstore.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { startTrustRegistry } from '../support/trust-registry.ts'
import { ecKeyPair } from '../support/x509.ts'

describe('varve trust verify', () => {
  const keys = ecKeyPair()
  const publicKey = keys.publicKey.export({ type: 'spki', format: 'pem' })
  let directory: TemporaryDirectory
  let repository: string
  let signed: Digest

  before(async () => {
    directory = await temporaryDirectory()
    await using registry = await startTrustRegistry({ directory: join(directory.path, 'registry') })
    const policy = { name: 'prod', images: '**', require: [{ cosign: { keys: [publicKey] } }] }
    repository = `${await registry.tenantWith(policy)}/app`
    await registry.putImage(repository, 'unsigned', 'unsigned')
    signed = await registry.putImage(repository, 'signed')
    const payload = simpleSigningPayload(signed)
    const signatures = [keys, ecKeyPair()].map(({ privateKey }) => ({
      payload,
      annotations: {
        'dev.cosignproject.cosign/signature': sign('sha256', payload, privateKey).toString('base64'),
      },
    }))
    await registry.putCosign(repository, signed, signatures)
  })
  after(() => directory.remove())

  const verify = (...args: readonly string[]) =>
    runVarve(['trust', 'verify', '--data', directory.path, ...args])

  it('shows each signature with its verdict', async () => {
    const { code, stdout, stderr } = await verify(`${repository}@${signed}`)
    assert.equal(code, 0, stderr)
    assert.match(
      stdout,
      /policy prod, for those who may not push: trusted, because its signature is by key 1/,
    )
    assert.match(stdout, /cosign +no +is by a key that the policy does not name/)
    assert.match(stdout, /cosign +yes +is by key 1 of the policy/)
    assert.match(stdout, /It may be pulled\.$/m)
  })

  it('ends with the code for what is refused', async () => {
    const { code, stdout, stderr } = await verify(`${repository}:unsigned`)
    assert.equal(code, 4)
    assert.match(stdout, /not trusted, because it has no signature[\s\S]*It may not be pulled/)
    assert.match(stderr, /may not be pulled/)
  })

  it('prints JSON', async () => {
    const { code, stdout } = await verify('--json', `${repository}@${signed}`)
    assert.equal(code, 0)
    const { isAllowed, policies } = JSON.parse(stdout)
    assert.equal(isAllowed, true)
    assert.deepEqual(
      policies[0].signatures.map((one: { form: string; isTrusted: boolean }) => [one.form, one.isTrusted]),
      [
        ['cosign', false],
        ['cosign', true],
      ],
    )
  })

  it('tries another policy', async () => {
    const file = join(directory.path, 'policy.json')
    const other = ecKeyPair().publicKey.export({ type: 'spki', format: 'pem' })
    await writeFile(file, JSON.stringify({ images: '**', require: [{ cosign: { keys: [other] } }] }))
    assert.equal((await verify('--policy', file, `${repository}@${signed}`)).code, 4)
    await writeFile(file, '{"images":"other/**","require":[{"cosign":{"keys":[]}}]}')
    const { code, stderr } = await verify('--policy', file, `${repository}@${signed}`)
    assert.equal(code, 1)
    assert.match(stderr, /trust policy is not valid: require/)
    assert.equal((await verify('--policy', join(directory.path, 'absent'), `${repository}:unsigned`)).code, 2)
  })

  it('says when there is no such image, or no such name', async () => {
    assert.equal((await verify(`${repository}:absent`)).code, 3)
    const { code, stderr } = await verify('UPPER:1')
    assert.equal(code, 2)
    assert.match(stderr, /not a repository name/)
  })

  it('knows images of this registry by their names', async () => {
    assert.deepEqual(parseOwnImage('acme/app'), {
      repository: 'acme/app',
      reference: { kind: 'tag', tag: 'latest' },
    })
    assert.deepEqual(parseOwnImage(`acme/app@${signed}`).reference, { kind: 'digest', digest: signed })
    await rejectsWith(
      'invalid',
      Promise.resolve().then(() => parseOwnImage('host:5000/acme/app')),
    )
  })

  it('says what a registry that serves the same data does', async () => {
    const database = join(directory.path, 'registry', 'varve.db')
    await using metadata = await openSqliteMetadata(database)
    const policy = { images: '**', appliesTo: 'everybody', require: [{ cosign: { keys: [publicKey] } }] }
    const tenant = parseTenantName(repository.split('/', 1)[0] ?? '')
    await metadata.updateTenant(tenant, { trustPolicy: JSON.stringify(policy) })
    await using registry = await serveRegistry(directory.path)
    const statusOf = async (reference: string) =>
      (await fetch(`${registry.url}/v2/${repository}/manifests/${reference}`)).status
    assert.deepEqual([await statusOf(signed), await statusOf('unsigned')], [200, 403])
  })

  it('shows nothing that a terminal acts upon', () => {
    const text = describeTrust({
      repository: 'acme/app' as never,
      digest: signed,
      isAllowed: false,
      policies: [
        {
          name: '\u001b[2J',
          mode: 'enforce',
          appliesTo: 'everybody',
          isTrusted: false,
          says: 'it is \u001b]0;x\u0007',
          signatures: [{ form: 'cosign', digest: signed, isTrusted: false, says: '\u001b[31m' }],
        },
      ],
    })
    assert.ok(!text.includes('\u001b') && !text.includes('\u0007'))
  })
})
