import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isDomainError } from '../../../src/errors.ts'
import { parseAccounts, parseGroups } from '../../../src/importer/process/accounts.ts'
import { effectiveProcessOf } from '../../../src/importer/process/effective-process.ts'
import { resolveUser } from '../../../src/importer/process/resolve-user.ts'

const accounts = parseAccounts(`root:x:0:0:root:/root:/bin/sh
# a comment
broken line
www:x:33:33:www:/var/www:/usr/sbin/nologin
1000:x:7:7:a name of digits:/seven:/bin/sh
app:x:1000:1000::relative:/bin/sh
huge:x:4294967296:0::/:/bin/sh
negative:x:-1:0::/:/bin/sh
`)
const groups = parseGroups(`root:x:0:
www:x:33:
adm:x:4:www,app
audio:x:29:app
again:x:29:app
`)
const resolve = (user: string) => resolveUser(user, { accounts, groups })

describe('who a container runs as', () => {
  it('is root when nobody is named', () =>
    assert.deepEqual(resolve(''), { uid: 0, gid: 0, additionalGids: [], name: 'root', home: '/root' }))

  it('takes a name with its groups', () =>
    assert.deepEqual(resolve('www'), {
      uid: 33,
      gid: 33,
      additionalGids: [4],
      name: 'www',
      home: '/var/www',
    }))

  it('takes a number that the image knows', () =>
    assert.deepEqual(resolve('1000'), {
      uid: 1000,
      gid: 1000,
      additionalGids: [4, 29],
      name: 'app',
      home: '/',
    }))

  it('takes a number that the image does not know', () =>
    assert.deepEqual(resolve('4711'), {
      uid: 4711,
      gid: 0,
      additionalGids: [],
      name: undefined,
      home: '/',
    }))

  it('takes a group by name and by number, and then no other', () => {
    assert.deepEqual(resolve('app:audio'), {
      uid: 1000,
      gid: 29,
      additionalGids: [],
      name: 'app',
      home: '/',
    })
    assert.equal(resolve('app:77').gid, 77)
    assert.equal(resolve(':audio').uid, 0)
  })

  const refused: readonly (readonly [user: string, why: RegExp])[] = [
    ['nobody', /no account "nobody"/],
    ['app:nogroup', /no group "nogroup"/],
    ['a:b:c', /more than one/],
    ['huge', /no account "huge"/],
    ['negative', /no account "negative"/],
    ['-1', /no account "-1"/],
    ['app:4294967296', /group is out of range/],
  ]
  for (const [user, why] of refused)
    it(`refuses ${user}`, () => assert.throws(() => resolve(user), { code: 'invalid', message: why }))

  it('CVE-2024-40635, CVE-2026-46680: a number that is too large is not root, and no name', () => {
    for (const user of ['2147483648', '4294967296', '18446744073709551616', '0'.repeat(40)])
      assert.throws(() => resolve(user), { code: 'invalid', message: /out of range/ })
    assert.throws(
      () => resolveUser('4294967296', { accounts: parseAccounts('4294967296:x:0:0::/:\n'), groups }),
      { code: 'invalid' },
    )
  })

  it('never throws anything else, whatever the files say', () =>
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (user, passwd, group) => {
        try {
          const { uid, gid } = resolveUser(user, {
            accounts: parseAccounts(passwd),
            groups: parseGroups(group),
          })
          assert.ok(uid >= 0 && gid >= 0 && uid < 2 ** 31 && gid < 2 ** 31)
        } catch (error) {
          assert.ok(isDomainError(error, 'invalid'))
        }
      }),
    ))
})

describe('what a container runs', () => {
  const user = resolve('app')

  it('is the entrypoint and the command', () => {
    const { args, cwd, env } = effectiveProcessOf(
      {
        Entrypoint: ['/init'],
        Cmd: ['-v'],
        Env: ['A=1', 'A=2=3', 'HOME=/h', 'noequals', '=x'],
        WorkingDir: 'srv',
      },
      user,
    )
    assert.deepEqual(args, ['/init', '-v'])
    assert.equal(cwd, '/srv')
    assert.deepEqual(env, [
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOME=/h',
      'A=2=3',
    ])
  })

  it('is nothing when the image says nothing', () => assert.deepEqual(effectiveProcessOf({}, user).args, []))
})
