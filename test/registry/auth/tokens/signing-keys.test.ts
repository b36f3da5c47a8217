import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { calculateJwkThumbprint, jwtVerify, SignJWT } from 'jose'
import { DomainError } from '../../../../src/errors.ts'
import { SigningKeys } from '../../../../src/registry/auth/tokens/signing-keys.ts'
import type { SigningKeyRecords } from '../../../../src/storage/metadata/account-records.ts'
import type { Metadata } from '../../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../../src/storage/metadata/sqlite.ts'
import { rejectsWith } from '../../../support/rejects.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

const dayMs = 24 * 60 * 60 * 1000
const settings = { rotateAfterMs: 30 * dayMs, tokenLifetimeMs: 300_000 }
const start = Date.UTC(2030, 0, 1)

describe('Signing keys', () => {
  const resources = new AsyncDisposableStack()
  let metadata: Metadata
  let replica: Metadata
  let now = start
  const clock = () => now

  before(async () => {
    const directory = resources.use(await temporaryDirectory())
    const path = join(directory.path, 'varve.db')
    metadata = resources.use(await openSqliteMetadata(path))
    replica = resources.use(await openSqliteMetadata(path))
  })
  after(() => resources.disposeAsync())
  beforeEach(async () => {
    now = start
    await metadata.deleteSigningKeys((await metadata.listSigningKeys()).map(({ id }) => id))
  })

  const open = (records: SigningKeyRecords = metadata) => new SigningKeys(records, settings, clock)
  const isKnown = async (keys: SigningKeys, kid: string) =>
    (await keys.find({ alg: 'ES256', kid })).length === 1

  it('are made by whoever signs first, once for all processes', async () => {
    const processes = [open(), open(), open(replica), open(replica)]
    const signers = await Promise.all(processes.map(keys => keys.signer()))
    assert.equal(new Set(signers.map(({ id }) => id)).size, 1)
    assert.equal((await metadata.listSigningKeys()).length, 1)
  })

  it('are named by their thumbprint, and shown without their private part', async () => {
    const keys = open()
    const { id } = await keys.signer()
    const [shown] = await keys.publicKeys()
    assert.ok(shown)
    assert.deepEqual(Object.keys(shown).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
    assert.equal(shown.kid, id)
    assert.equal(await calculateJwkThumbprint(shown), id)
    const { d } = JSON.parse((await metadata.listSigningKeys())[0]?.jwk ?? '{}')
    assert.ok(typeof d === 'string' && !JSON.stringify(shown).includes(d))
  })

  it('verify what they sign, in another process as well', async () => {
    const signer = await open().signer()
    const token = await new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid: signer.id }).sign(signer.key)
    const [key] = await open(replica).find({ alg: 'ES256', kid: signer.id })
    assert.ok(key)
    await jwtVerify(token, key)
  })

  it('are replaced when they are too old, by one process, and the old ones verify on', async () => {
    const [one, other] = [open(), open(replica)]
    const first = (await one.signer()).id
    now += settings.rotateAfterMs - 1
    assert.equal((await one.signer()).id, first)
    now += 1
    const signers = await Promise.all([one.signer(), other.signer()])
    assert.equal(signers[0].id, signers[1].id)
    assert.notEqual(signers[0].id, first)
    assert.ok(await isKnown(one, first))
    assert.ok(await isKnown(other, first))
    assert.deepEqual(
      (await one.publicKeys()).map(({ kid }) => kid),
      [signers[0].id, first],
    )
  })

  it('are forgotten when the last token that they have signed is over', async () => {
    const keys = open()
    const first = (await keys.signer()).id
    now += settings.rotateAfterMs
    await keys.signer()
    now += settings.tokenLifetimeMs + 60_000
    await keys.signer()
    assert.ok(await isKnown(keys, first))
    now += 60_000
    await keys.signer()
    assert.ok(!(await isKnown(keys, first)))
    assert.equal((await metadata.listSigningKeys()).length, 1)
  })

  it('are rotated when somebody wants it, which other processes hear of within seconds', async () => {
    const [one, other] = [open(), open(replica)]
    const first = (await one.signer()).id
    await other.signer()
    now += 2_000
    const second = await one.rotate()
    assert.notEqual(second, first)
    assert.equal((await one.signer()).id, second)
    assert.ok(await isKnown(other, second), 'an unknown key is looked for at once')
    now += 5_000
    assert.equal((await other.signer()).id, second)
    assert.ok(await isKnown(other, first))
  })

  it('are rotated after the clock of one process went back, too', async () => {
    const keys = open()
    const first = (await keys.signer()).id
    now -= dayMs
    const second = await keys.rotate()
    assert.equal((await open(replica).signer()).id, second)
    assert.notEqual(second, first)
  })

  it('can be forgotten at once, which changes what is told of them', async () => {
    const [one, other] = [open(), open(replica)]
    const first = (await one.signer()).id
    assert.ok(await isKnown(other, first))
    const { version } = other
    now += 2_000
    await one.rotate({ forgetOld: true })
    assert.ok(!(await isKnown(one, first)))
    now += 60_000
    assert.ok(!(await isKnown(other, first)))
    assert.notEqual(other.version, version)
  })

  it('that were forgotten are not known for longer where the clock was set back', async () => {
    let elapsed = 1_000
    const one = open()
    const other = new SigningKeys(replica, settings, clock, () => elapsed)
    const first = (await one.signer()).id
    assert.ok(await isKnown(other, first))
    await one.rotate({ forgetOld: true })
    now -= dayMs
    elapsed += 60_000
    assert.ok(!(await isKnown(other, first)))
  })

  it('are looked for at most once a second, however many unknown ones are named', async () => {
    let questions = 0
    const counted: SigningKeyRecords = {
      listSigningKeys: options => {
        questions += 1
        return metadata.listSigningKeys(options)
      },
      addSigningKey: (...given) => metadata.addSigningKey(...given),
      deleteSigningKeys: (...given) => metadata.deleteSigningKeys(...given),
    }
    const keys = open(counted)
    await keys.signer()
    questions = 0
    now += 1_000
    const unknown = Array.from({ length: 100 }, (_, index) => String(index).padStart(43, 'A'))
    await Promise.all(unknown.map(kid => keys.find({ alg: 'ES256', kid })))
    assert.equal(questions, 1)
    now += 990
    await Promise.all(unknown.map(kid => keys.find({ alg: 'ES256', kid })))
    assert.equal(questions, 2)
  })

  it('are known though they were made right after the others were read', async () => {
    const [one, other] = [open(), open(replica)]
    assert.ok(await isKnown(other, (await one.signer()).id))
    now += 900
    const id = await one.rotate()
    assert.ok(await isKnown(other, id))
  })

  it('are not looked for at all by names that none has, nor for another algorithm', async () => {
    const keys = open({
      listSigningKeys: () => assert.fail('was asked'),
      addSigningKey: () => assert.fail('was asked'),
      deleteSigningKeys: () => assert.fail('was asked'),
    })
    const names = ['', '../../etc/passwd', "' or 1=1 --", 'A'.repeat(42), 'A'.repeat(44), '\u0000'.repeat(43)]
    for (const kid of names) assert.deepEqual(await keys.find({ alg: 'ES256', kid }), [])
    assert.deepEqual(await keys.find({ alg: 'ES256' }), [])
    for (const alg of ['none', 'HS256', 'ES384', 'RS256'])
      assert.deepEqual(await keys.find({ alg, kid: 'A'.repeat(43) }), [])
  })

  it('go on verifying while the database is away, and do not sign then', async () => {
    let isAway = false
    const away = <Value>(value: () => Promise<Value>): Promise<Value> =>
      isAway
        ? Promise.reject(new DomainError('unavailable', 'The database is away.', { resource: 'database' }))
        : value()
    const keys = open({
      listSigningKeys: options => away(() => metadata.listSigningKeys(options)),
      addSigningKey: (...given) => away(() => metadata.addSigningKey(...given)),
      deleteSigningKeys: (...given) => away(() => metadata.deleteSigningKeys(...given)),
    })
    const { id } = await keys.signer()
    isAway = true
    now += 3_600_000
    assert.ok(await isKnown(keys, id))
    await rejectsWith('unavailable', keys.signer())
    await rejectsWith('unavailable', keys.find({ alg: 'ES256', kid: 'A'.repeat(43) }))
    isAway = false
    assert.equal((await keys.signer()).id, id)
  })

  it('can be given up by one who waits, and not by the others', async () => {
    const keys = open()
    const reason = new Error('given up')
    const [given, kept] = await Promise.allSettled([
      keys.signer({ signal: AbortSignal.abort(reason) }),
      keys.signer(),
    ])
    assert.deepEqual(given, { status: 'rejected', reason })
    assert.equal(kept.status, 'fulfilled')
  })
})
