import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ensureAdmin, passwordFileName } from '../../src/cli/registry/first-admin.ts'
import { loadConfig } from '../../src/config.ts'
import { createLogger } from '../../src/log.ts'
import { bcryptHere } from '../../src/registry/auth/identities/bcrypt-here.ts'
import { parseAccountName } from '../../src/storage/accounts/names.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { testPasswordCost } from '../support/administration.ts'
import { rejectsWith } from '../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const admin = parseAccountName('admin')
const log = createLogger({ level: 'silent' })
const cost = testPasswordCost

describe('The first admin', () => {
  let directory: TemporaryDirectory
  let metadata: Metadata
  beforeEach(async () => {
    directory = await temporaryDirectory()
    metadata = await openSqliteMetadata(join(directory.path, 'varve.db'))
  })
  afterEach(async () => {
    await metadata[Symbol.asyncDispose]()
    await directory.remove()
  })

  const settings = (data: string, flags: Record<string, string> = { 'auth.mode': 'basic' }) => {
    const { config } = loadConfig({ file: undefined, flags: { data, ...flags } })
    return config
  }
  const at = (name: string) => join(directory.path, name)
  const files = async (name: string) =>
    (await readdir(at(name)).catch(() => [])).filter(file => file.includes('password'))

  it('has the password that is in the file', async () => {
    await ensureAdmin(settings(at('a')), metadata, log, { cost })
    const account = await metadata.findAccount(admin)
    assert.deepEqual([account?.isAdmin, account?.kind], [true, 'user'])
    const password = (await readFile(join(at('a'), passwordFileName), 'utf8')).trim()
    assert.ok(await bcryptHere.compare(password, account?.passwordHash ?? null, cost))
    assert.deepEqual(await files('a'), [passwordFileName])
  })

  it('is made by one of many replicas that start at once', async () => {
    await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        ensureAdmin(settings(at(`r${index}`)), metadata, log, { cost }),
      ),
    )
    const found = (await Promise.all(Array.from({ length: 8 }, (_, index) => files(`r${index}`)))).flat()
    assert.deepEqual(found, [passwordFileName])
  })

  it('is made where several share a directory, with a password that opens it', async () => {
    await Promise.all(
      Array.from({ length: 8 }, () => ensureAdmin(settings(at('s')), metadata, log, { cost })),
    )
    const account = await metadata.findAccount(admin)
    const password = (await readFile(join(at('s'), passwordFileName), 'utf8')).trim()
    assert.ok(await bcryptHere.compare(password, account?.passwordHash ?? null, cost))
    assert.deepEqual(await files('s'), [passwordFileName])
  })

  it('is not made again while there is another admin, and is when there is none', async () => {
    await ensureAdmin(settings(at('a')), metadata, log, { cost })
    await metadata.createAccount({ name: parseAccountName('root'), kind: 'user', isAdmin: true })
    await metadata.deleteAccount(admin)
    await ensureAdmin(settings(at('b')), metadata, log, { cost })
    assert.deepEqual(await files('b'), [])
    // One that is locked out was locked out on purpose.
    await metadata.updateAccount(parseAccountName('root'), { isDisabled: true })
    await ensureAdmin(settings(at('b')), metadata, log, { cost })
    assert.deepEqual(await files('b'), [])
    await metadata.deleteAccount(parseAccountName('root'))
    await ensureAdmin(settings(at('a')), metadata, log, { cost })
    const password = (await readFile(join(at('a'), passwordFileName), 'utf8')).trim()
    const account = await metadata.findAccount(admin)
    assert.ok(await bcryptHere.compare(password, account?.passwordHash ?? null, cost))
  })

  it('is made where there are users, but none is an admin', async () => {
    await metadata.createAccount({ name: parseAccountName('alice'), kind: 'user' })
    await ensureAdmin(settings(at('a')), metadata, log, { cost })
    assert.equal((await metadata.findAccount(admin))?.isAdmin, true)
  })

  it('is not made where the configuration names one, or where nobody is asked', async () => {
    await ensureAdmin(settings(at('n'), { 'auth.mode': 'none' }), metadata, log, { cost })
    const named = settings(at('n'), { 'auth.mode': 'token', 'auth.admins': 'root' })
    await ensureAdmin(named, metadata, log, { cost })
    assert.equal(await metadata.findAccount(admin), undefined)
    assert.deepEqual(await files('n'), [])
  })

  it('takes no user of that name for one', async () => {
    await metadata.createAccount({ name: admin, kind: 'user', passwordHash: null })
    await ensureAdmin(settings(at('u')), metadata, log, { cost })
    assert.equal((await metadata.getAccount(admin)).isAdmin, false)
    assert.deepEqual(await files('u'), [])
  })

  it('is not made when its password cannot be kept', async () => {
    await writeFile(at('file'), '')
    await rejectsWith('invalid', ensureAdmin(settings(at('file')), metadata, log, { cost }))
    assert.equal(await metadata.findAccount(admin), undefined)
  })
})
