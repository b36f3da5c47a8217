import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { exportJWK, exportPKCS8, generateKeyPair, SignJWT } from 'jose'
import { makeAccountToken } from '../../src/registry/auth/identities/account-token.ts'
import { exec } from './process.ts'
import { watchForSecrets } from './scan-run.ts'
import { SecretScan } from './secret-scan.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { testLogsVariable } from './test-logs.ts'
import { testSecret } from './test-secrets.ts'

const { privateKey } = await generateKeyPair('ES256', { extractable: true })
const password = testSecret('alice')
const token = await new SignJWT({ access: [] }).setProtectedHeader({ alg: 'ES256' }).sign(privateKey)
const basic = (name: string): string => Buffer.from(`${name}:${password}`).toString('base64')

const planted: readonly (readonly [name: string, text: string, kind: RegExp])[] = [
  ['a password', `login of alice with ${password}`, /password/],
  ['a password in JSON', JSON.stringify({ message: { deep: [password] } }), /password/],
  ['a password with a blank', 'wrong password correct horse', /password/],
  ...['a', 'al', 'ali'].map(
    name => [`Basic credentials of ${name}`, `authorization: Basic ${basic(name)}`, /password/] as const,
  ),
  ['an API token', `[${makeAccountToken('token').text}]`, /API token/],
  ['a refresh token', `?token=${makeAccountToken('refresh').text}&x`, /API token/],
  ['an access token', `{"authorization":"Bearer ${token}"}`, /signed/],
  ['a private key', await exportPKCS8(privateKey), /private key/],
  ['a private key in a JWK', JSON.stringify({ key: await exportJWK(privateKey) }), /JWK/],
  ['a JWK in JSON in JSON', JSON.stringify(JSON.stringify(await exportJWK(privateKey))), /JWK/],
]

describe('The scan for secrets', () => {
  for (const [name, text, kind] of planted)
    it(`finds ${name}, once, and does not repeat it`, () => {
      const scan = new SecretScan()
      scan.addText('out', `before ${text} after`)
      assert.equal(scan.leaks.length, 1)
      const [leak] = scan.leaks
      assert.match(leak?.kind ?? '', kind)
      assert.equal(leak?.where, 'out')
      const again = new SecretScan()
      again.addText('out', scan.leaks.map(({ context }) => context).join('\n') + scan.summary())
      assert.deepEqual(again.leaks, [])
    })

  it('finds what lies across two pieces of a file, and each only once', async () => {
    await using directory = await temporaryDirectory()
    const megabyte = 1024 * 1024
    for (const at of [0, 10, megabyte - 100, megabyte - 10, megabyte, 2 * megabyte - 40]) {
      const path = join(directory.path, 'log')
      await writeFile(path, `${'x'.repeat(at)} ${token} ${'y'.repeat(3 * megabyte)}`)
      const scan = new SecretScan()
      await scan.addFile(path)
      assert.equal(scan.leaks.length, 1, `at ${at}`)
    }
  })

  it('looks through all files of a directory, and tells how much that was', async () => {
    await using directory = await temporaryDirectory()
    await writeFile(join(directory.path, 'a.log'), 'nothing')
    await writeFile(join(directory.path, 'b.log'), `a line\n${password}\n`)
    const scan = new SecretScan()
    await scan.addDirectory(directory.path)
    assert.deepEqual(
      scan.leaks.map(({ where, context }) => [where, context]),
      [['b.log', 'a line·alice-[…]']],
    )
    assert.equal(scan.summary(), `secret scan: ${7 + 8 + password.length} bytes, 2 logs, 1 found`)
  })

  it('passes over what is no secret', () => {
    const { text } = makeAccountToken('token')
    const scan = new SecretScan()
    for (const harmless of [
      text.slice(0, 20),
      'vrv_… eyJ',
      token.split('.').slice(0, 2).join('.'),
      '-----BEGIN PUBLIC KEY-----',
      randomBytes(4096).toString('base64'),
      '{"d":"short"}',
    ])
      scan.addText('out', harmless)
    assert.deepEqual(scan.leaks, [])
    assert.match(scan.summary(), /nothing found$/)
  })
})

describe('A run of tests', () => {
  /** What a run tells of a file that does this, in a process of its own, with `PLANTED` as a secret. */
  async function runOf(planted: string, work: string): Promise<{ lines: string; leaks: number }> {
    const earlier = process.env[testLogsVariable]
    const run = await watchForSecrets()
    try {
      run.addReport('a.test.ts', `printed ${password}`)
      await exec(process.execPath, ['--input-type=module', '--eval', work], { env: { PLANTED: planted } })
    } finally {
      if (earlier !== undefined) process.env[testLogsVariable] = earlier
    }
    const { lines, leaks } = await run.finish()
    return { lines: lines.join('\n'), leaks }
  }
  const load = (module: string): string => `await import(${JSON.stringify(import.meta.resolve(module))})`

  it('is searched: what its files print, and what their servers log, in whichever process', async () => {
    const { lines, leaks } = await runOf(
      password,
      `const { keepForScan, testLog } = ${load('./test-logs.ts')}
       testLog().debug({ login: { password: process.env.PLANTED } }, 'a message')
       keepForScan('metrics')`,
    )
    assert.equal(leaks, 2)
    assert.match(lines, /in a\.test\.ts: printed alice-\[…\]\nsecret: .*"password":"alice-\[…\]\n/)
    assert.match(lines, /\nsecret scan: \d+ bytes, 1 logs, 2 found$/)
  })

  it('is searched: what the audit log has kept of requests', async () => {
    const { lines, leaks } = await runOf(
      token,
      `const { startRegistry } = ${load('./registry.ts')}
       const registry = await startRegistry()
       const from = { address: 'a', userAgent: 'b', requestId: 'c', status: 401, outcome: 'denied', operation: 'o' }
       const entry = { at: new Date(), ...from, claimed: process.env.PLANTED }
       await registry.metadata.addAuditEntries([entry])
       await registry.stop()`,
    )
    assert.equal(leaks, 2, lines)
    assert.match(lines, /\nsecret: a signed token in .*"claimed":"\[…\]/)
  })
})
