/** A registry on TLS, by several processes, whose clients are known by their certificates; and what it keeps of them. */
import assert from 'node:assert/strict'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import type { AuditView } from '../../../src/registry/admin/views.ts'
import { fixtureImage, fixturePrograms, type FixtureImage } from '../../fixtures/make-image.ts'
import { exec } from '../../support/process.ts'
import { skipWithout } from '../../support/programs.ts'
import { connectRaw } from '../../support/raw-http.ts'
import { type ServedRegistry, serveRegistry } from '../../support/served-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { type Pair, serverRequest, TestAuthority } from '../../support/test-authority.ts'
import { varveProgram } from '../../support/varve.ts'

describe('Client certificates', { skip: await skipWithout(...fixturePrograms, 'skopeo') }, () => {
  let directory: TemporaryDirectory
  let authority: TestAuthority
  let fixture: FixtureImage
  let registry: ServedRegistry

  const path = (name: string): string => join(directory.path, name)
  const write = (name: string, text: string) => writeFile(path(name), text, { mode: 0o600 })
  const varve = (...args: readonly string[]): Promise<string> =>
    exec(varveProgram, [...args, '--config', path('varve.yaml')])
  /** As docker, podman and skopeo have them: ca.crt, client.cert, client.key. */
  const certDirectory = async (name: string, pair?: Pair): Promise<string> => {
    await mkdir(path(name), { recursive: true })
    await write(`${name}/ca.crt`, authority.cert)
    if (pair !== undefined) {
      await write(`${name}/client.cert`, pair.cert)
      await write(`${name}/client.key`, pair.key)
    }
    return path(name)
  }
  const image = (name: string): string => `docker://${new URL(registry.url).host}/${name}`
  const push = (certs: string, name: string): Promise<string> =>
    exec('skopeo', [
      'copy',
      '--dest-cert-dir',
      certs,
      `oci:${fixture.layout}:${fixture.layers.tag}`,
      image(name),
    ])
  const audit = async (...args: readonly string[]): Promise<AuditView[]> =>
    JSON.parse(await varve('audit', '--json', '-n', '1000', ...args)) as AuditView[]
  /** Entries are written a moment after the answer. */
  const auditUntil = async (fits: (entries: AuditView[]) => boolean, ...args: readonly string[]) => {
    for (;;) {
      const entries = await audit(...args)
      if (fits(entries)) return entries
      await sleep(100)
    }
  }

  before(async () => {
    fixture = await fixtureImage()
    directory = await temporaryDirectory()
    authority = await TestAuthority.create()
    const server = await authority.issue(serverRequest())
    await write('cert.pem', server.cert)
    await write('key.pem', server.key)
    await write('clients.pem', authority.cert)
    await write(
      'varve.yaml',
      JSON.stringify({
        data: path('data'),
        registry: { workers: 2, tls: { certificateFile: path('cert.pem'), keyFile: path('key.pem') } },
        auth: { mode: 'basic', clientCertificates: { caFile: path('clients.pem') } },
        audit: { file: path('audit.jsonl') },
      }),
    )
    registry = await serveRegistry(path('data'), '--config', path('varve.yaml'))
    await varve('user', 'create', 'alice', '--no-password')
    await varve('tenant', 'create', 'acme')
    await varve('member', 'set', 'acme', 'alice', '--role', 'developer')
  })
  after(async () => {
    await registry[Symbol.asyncDispose]()
    await directory.remove()
  })

  it('stand for accounts: skopeo pushes and pulls with one', async () => {
    assert.match(registry.url, /^https:/)
    const certs = await certDirectory('alice', await authority.issue({ subject: '/CN=alice' }))
    await push(certs, 'acme/web:1')
    const back = ['--src-cert-dir', certs, image('acme/web:1'), `oci:${path('back')}:1`]
    await exec('skopeo', ['copy', ...back])
    const entries = await auditUntil(
      found => found.some(({ operation }) => operation === 'manifest.put'),
      ...['--target', 'acme/**', '--outcome', 'allowed'],
    )
    for (const { account, credential, address } of entries)
      assert.deepEqual([account, credential, address], ['alice', 'certificate', '127.0.0.1'])
    const [put] = entries.filter(({ operation }) => operation === 'manifest.put')
    assert.deepEqual([put?.target, put?.reference, put?.status], ['acme/web', '1', 201])
  })

  it('that are missing, of strangers, or of nobody who is known, open nothing', async () => {
    const stranger = await (await TestAuthority.create()).issue({ subject: '/CN=alice' })
    const unknown = await authority.issue({ subject: '/CN=mallory' })
    for (const [name, pair] of [
      ['none', undefined],
      ['stranger', stranger],
      ['unknown', unknown],
    ] as const)
      await assert.rejects(
        push(await certDirectory(name, pair), 'acme/web:2'),
        /authentication required|unauthorized/,
        name,
      )
    // skopeo remembers by host and port where it has seen a blob, and asks there first; the port may have been another's.
    const refusedHere = (entries: AuditView[]) =>
      entries.filter(({ target }) => target === undefined || target === 'acme/web')
    const refused = await auditUntil(found => refusedHere(found).length > 0, '--outcome', 'denied')
    assert.deepEqual([...new Set(refusedHere(refused).map(({ claimed }) => claimed))], ['mallory'])
  })

  it('are asked for by all processes; what is no TLS is told so', async () => {
    const raw = await connectRaw(registry.url)
    raw.socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.match(await raw.ended(), /^HTTP\/1\.1 400 /)
    for (let count = 0; count < 4; count += 1)
      await new Promise<void>((resolve, reject) => {
        const { port } = new URL(registry.url)
        const socket = connect({ host: '127.0.0.1', port: Number(port), ca: authority.cert }, () => {
          socket.destroy()
          resolve()
        })
        socket.on('error', reject)
      })
  })

  it('leave their traces in the file as well, which may be moved away, with a signal or without', async () => {
    const certs = await certDirectory('alice', await authority.issue({ subject: '/CN=alice' }))
    const operations = async (name: string): Promise<string[]> =>
      (await readFile(path(name), 'utf8').catch(() => ''))
        .split('\n')
        .slice(0, -1)
        .map(line => (JSON.parse(line) as { operation: string }).operation)
    const written = async (name: string): Promise<string[]> => {
      for (;;) {
        const found = await operations(name)
        if (found.includes('manifest.put')) return found
        await sleep(50)
      }
    }
    await written('audit.jsonl')
    await rename(path('audit.jsonl'), path('audit.jsonl.1'))
    registry.process.kill('SIGHUP')
    await push(certs, 'acme/web:3')
    await written('audit.jsonl')
    await rename(path('audit.jsonl'), path('audit.jsonl.2'))
    await push(certs, 'acme/web:4')
    await written('audit.jsonl')
  })

  it('and all else that was done by commands is listed for people too, filtered, without what terminals act upon', async () => {
    const table = await varve('audit', '--account', 'alice', '--operation', 'manifest.put', '-n', '1')
    assert.match(table, /^TIME +OUTCOME +WHO +OPERATION +TARGET +STATUS +FROM +RULE\n/)
    assert.match(table, /allowed +alice +manifest\.put +acme\/web:4 +201 +127\.0\.0\.1 +\S/)
    assert.equal(table.trimEnd().split('\n').length, 2)
    assert.equal(await varve('audit', '--until', '1h'), 'no entries that fit\n')
    const made = await audit('--target', 'tenant:acme')
    assert.deepEqual(made.map(({ operation }) => operation).sort(), ['member.set', 'tenant.create'])
    await assert.rejects(varve('audit', '--since', 'yesterday'), /24h/)
  })
})
