import assert from 'node:assert/strict'
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { hashSync } from 'bcryptjs'
import { HtpasswdFile } from '../../../../src/registry/auth/identities/htpasswd-file.ts'
import { parseAccountName } from '../../../../src/storage/accounts/names.ts'
import { type KeptLog, keepLog } from '../../../support/log-lines.ts'
import { skipWithout } from '../../../support/programs.ts'
import { exec } from '../../../support/process.ts'
import { rejectsWith } from '../../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'

const [alice, bob] = [parseAccountName('alice'), parseAccountName('bob')]
const hash = hashSync('correct horse', 4)
const other = hashSync('battery staple', 4)
const withoutHtpasswd = await skipWithout('htpasswd')

describe('An htpasswd file', () => {
  let directory: TemporaryDirectory
  let kept: KeptLog
  let path: string
  /** As `htpasswd` does it: a new file in the place of the old one. */
  const write = async (text: string): Promise<void> => {
    await writeFile(`${path}.new`, text, { mode: 0o640 })
    await rename(`${path}.new`, path)
  }

  beforeEach(async () => {
    directory = await temporaryDirectory()
    path = join(directory.path, 'htpasswd')
    kept = keepLog()
  })
  afterEach(async () => await directory.remove())

  it('knows its users', async () => {
    await write(`# people\n\nalice:${hash}\nbob@example.com:${other.replace('$2b$', '$2y$')}\r\n`)
    const file = await HtpasswdFile.open(path, kept.log)
    assert.deepEqual(await file.find(alice), {
      name: alice,
      isAdmin: false,
      isActive: true,
      passwordHash: hash,
    })
    const found = await file.find(parseAccountName('bob@example.com'))
    assert.equal(found?.passwordHash, other.replace('$2b$', '$2y$'))
    assert.equal(await file.find(bob), undefined)
    await assert.rejects(file.find(alice, { signal: AbortSignal.abort() }), { name: 'AbortError' })
  })

  for (const [what, text, why] of [
    ['MD5', 'alice:$apr1$abcdefgh$0123456789012345678901', /line 1 .*htpasswd -B/],
    ['SHA-1', `bob:${hash}\nalice:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=`, /line 2 .*htpasswd -B/],
    ['crypt', '\n\nalice:rqXexS6ZhobKA', /line 3 .*htpasswd -B/],
    ['a password', 'alice:correct horse', /line 1 .*htpasswd -B/],
    ['bcrypt that takes minutes', `alice:${hash.replace('$04$', '$31$')}`, /line 1 .*htpasswd -B/],
    ['no colon', 'correct horse', /line 1 .*name and a colon/],
    ['a capital letter', `Alice:${hash}`, /line 1 .*small letters/],
    ["a robot's name", `acme+ci:${hash}`, /line 1 .*name/],
    ["a provider's name", `github/alice:${hash}`, /line 1 .*name/],
    ['a name twice', `alice:${hash}\nalice:${other}`, /line 2 .*already/],
    ['an endless line', `alice:${'x'.repeat(600)}`, /line 1 .*name/],
  ] as const)
    it(`with ${what} is refused by the number of the line, which is not repeated`, async () => {
      await write(text)
      const error = await rejectsWith('invalid', HtpasswdFile.open(path, kept.log))
      assert.match(error.message, why)
      assert.ok(error.message.includes(path))
      for (const line of text.split('\n').filter(line => line !== ''))
        for (const part of line.split(':').filter(part => part.length > 8))
          assert.ok(!error.message.includes(part))
    })

  it('is refused when it is absent, no file, too large, or everybody may write it', async () => {
    await rejectsWith('invalid', HtpasswdFile.open(path, kept.log))
    await mkdir(path)
    await rejectsWith('invalid', HtpasswdFile.open(path, kept.log))
    await rm(path, { recursive: true })
    await write(`alice:${hash}\n#${'x'.repeat(1024 * 1024)}`)
    assert.match((await rejectsWith('invalid', HtpasswdFile.open(path, kept.log))).message, /bytes/)
    await write(`alice:${hash}`)
    await chmod(path, 0o666)
    assert.match((await rejectsWith('invalid', HtpasswdFile.open(path, kept.log))).message, /chmod o-w/)
  })

  it('counts as it is now', async () => {
    await write(`alice:${hash}\n`)
    const file = await HtpasswdFile.open(path, kept.log)
    await write(`alice:${other}\nbob:${hash}\n`)
    assert.equal((await file.find(alice))?.passwordHash, other)
    assert.equal((await file.find(bob))?.passwordHash, hash)
    await writeFile(path, `bob:${hash}\n`)
    assert.equal(await file.find(alice), undefined)
    await write('')
    assert.equal(await file.find(bob), undefined)
    assert.equal(kept.text(), '')
  })

  it('counts as it last was good while it is of no use, and the log says so once', async () => {
    await write(`alice:${hash}\n`)
    const file = await HtpasswdFile.open(path, kept.log)
    await write('alice:correct horse\n')
    for (let count = 0; count < 3; count += 1) assert.equal((await file.find(alice))?.passwordHash, hash)
    assert.equal(kept.lines().length, 1)
    assert.match(String(kept.lines()[0]?.['reason']), /line 1/)
    await rm(path)
    for (let count = 0; count < 3; count += 1) assert.equal((await file.find(alice))?.passwordHash, hash)
    assert.equal(kept.lines().length, 2)
    assert.ok(!kept.text().includes('correct horse'))
    await write(`alice:${other}\n`)
    assert.equal((await file.find(alice))?.passwordHash, other)
    // Broken in the same way once more, it is said once more.
    await write('alice:correct horse\n')
    assert.equal((await file.find(alice))?.passwordHash, other)
    assert.equal(kept.lines().length, 3)
  })

  it('is what htpasswd -B writes', { skip: withoutHtpasswd }, async () => {
    await exec('htpasswd', ['-cbB', '-C', '4', path, 'alice', 'correct horse'])
    await exec('htpasswd', ['-bB', '-C', '4', path, 'bob', 'battery staple'])
    const file = await HtpasswdFile.open(path, kept.log)
    assert.match((await file.find(alice))?.passwordHash ?? '', /^\$2y\$04\$/)
    assert.match((await file.find(bob))?.passwordHash ?? '', /^\$2y\$04\$/)
  })
})
