import assert from 'node:assert/strict'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { type Ran, runVarve } from '../../support/run-varve.ts'
import { type ServedRegistry, serveRegistry } from '../../support/served-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

let directory: TemporaryDirectory
before(async () => {
  directory = await temporaryDirectory()
})
after(() => directory.remove())

async function succeeds(...args: readonly string[]): Promise<string> {
  const ran = await runVarve(args)
  assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stderr}`)
  return ran.stdout
}

async function fails(code: number, ...args: readonly string[]): Promise<Ran> {
  const ran = await runVarve(args)
  assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`)
  return ran
}

describe('The commands that administer, on the database itself', () => {
  let data: string
  const run = (command: string, verb: string, ...rest: readonly string[]) =>
    succeeds(command, verb, '--data', data, ...rest)
  before(() => {
    data = join(directory.path, 'direct')
  })

  it('make, show, list, change and delete tenants', async () => {
    assert.equal(await run('tenant', 'list'), 'no tenants; varve tenant create makes the first\n')
    const quota = ['--quota', '1.5GiB', '--max-repositories', '7', '--description', 'all of acme']
    assert.equal(await run('tenant', 'create', 'acme', ...quota), 'made tenant acme\n')
    assert.match(await run('tenant', 'list'), /^TENANT.*\nacme +private +1\.5 GiB +7 +all of acme\n$/)
    assert.match(await run('tenant', 'show', 'acme'), /uses +0 B of 1\.5 GiB\nrepositories +0 of 7\n/)
    await run('tenant', 'set', 'acme', '--visibility', 'public', '--quota', 'none')
    const [acme] = JSON.parse(await run('tenant', 'list', '--json')) as {
      visibility: string
      quotaBytes: null
    }[]
    assert.deepEqual([acme?.visibility, acme?.quotaBytes], ['public', null])
    await fails(5, 'tenant', 'create', 'acme', '--data', data)
    await fails(3, 'tenant', 'rm', 'absent', '--data', data)
    await run('tenant', 'create', 'short')
    assert.equal(await run('tenant', 'rm', 'short'), 'deleted tenant short\n')
    const { stderr } = await fails(1, 'tenant', 'create', 'UPPER', '--data', data)
    assert.match(stderr, /^varve: "UPPER" is not a tenant's name; .+\n$/)
    await fails(2, 'tenant', 'set', 'acme', '--quota', 'much', '--data', data)
  })

  it('take passwords from a file, and show those that they make once', async () => {
    const file = join(directory.path, 'password')
    await writeFile(file, 'a good password\nsecond line\n')
    assert.equal(await run('user', 'create', 'alice', '--password-file', file), 'made user alice\n')
    const shown = await run('user', 'create', 'bob', '--admin')
    assert.match(
      shown,
      /^made user bob\npassword: [\w-]{24}\nIt is shown only now, and kept nowhere: store it well\.\n$/,
    )
    const { account, password } = JSON.parse(
      await run('user', 'create', 'carol', '--no-password', '--json'),
    ) as {
      account: { name: string }
      password: null
    }
    assert.deepEqual([account.name, password], ['carol', null])
    assert.match(await run('user', 'password', 'bob'), /^set the password of bob\npassword: /)
    await run('user', 'set', 'carol', '--disabled', 'yes', '--expires', '30d', '--description', 'away')
    assert.match(await run('user', 'list'), /\nbob +admin +enabled +- /)
    assert.match(await run('user', 'show', 'carol'), /state +disabled\nexpires +\d{4}-\d\d-\d\d \d\d:\d\d\n/)
    await run('user', 'set', 'carol', '--expires', 'never')
    assert.match(await run('user', 'show', 'carol'), /expires +-\n/)
    await writeFile(file, '\n')
    await fails(2, 'user', 'password', 'alice', '--password-file', file, '--data', data)
    await fails(
      2,
      'user',
      'password',
      'alice',
      '--password-file',
      join(directory.path, 'none'),
      '--data',
      data,
    )
    await run('user', 'rm', 'carol')
    await fails(3, 'user', 'show', 'carol', '--data', data)
  })

  it('make members, robots and tokens', async () => {
    assert.equal(
      await run('member', 'set', 'acme', 'alice', '--role', 'maintainer'),
      'alice is now maintainer of acme\n',
    )
    assert.match(await run('member', 'list', 'acme'), /^ACCOUNT .*\nalice +maintainer +\d{4}-/)
    const made = await run(
      'robot',
      'create',
      'acme',
      'ci',
      '--pattern',
      'acme/app-*',
      '--actions',
      'pull,push',
    )
    assert.match(made, /^made robot acme\+ci\ntoken: vrv_\w+\nIt is shown only now/)
    assert.match(await run('robot', 'list', 'acme'), /\nacme\+ci +enabled/)
    assert.match(await run('grant', 'list', 'acme'), / acme\+ci +pull,push +acme\/app-\* /)

    const narrowed = ['--pattern', 'acme/x', '--actions', 'pull', '--expires', '2040-01-01T00:00:00Z']
    const token = await run('token', 'create', 'alice', '--description', 'laptop', ...narrowed)
    const id = /^made token ([a-z0-9]{16}) of alice\n/.exec(token)?.[1] ?? ''
    assert.match(
      await run('token', 'list', 'alice'),
      new RegExp(`\n${id} +good +2040-01-01 00:00 +- +pull acme/x +laptop\n`),
    )
    await run('token', 'revoke', 'alice', id)
    assert.match(await run('token', 'list', 'alice'), new RegExp(`\n${id} +revoked `))
    await fails(2, 'token', 'create', 'alice', '--actions', 'pull', '--data', data)
    await fails(3, 'token', 'create', 'absent', '--data', data)
    await run('robot', 'rm', 'acme', 'ci')
    assert.equal(await run('robot', 'list', 'acme'), 'acme has no robots\n')
    await run('member', 'rm', 'acme', 'alice')
    assert.equal(await run('member', 'list', 'acme'), 'acme has no members\n')
  })

  it('add grants and rules, and explain what they do', async () => {
    await run('tenant', 'set', 'acme', '--visibility', 'private')
    const explain = (account: string, action: string) => [
      'access',
      'explain',
      account,
      action,
      'acme/app',
      '--data',
      data,
    ]
    const { stdout } = await fails(4, ...explain('alice', 'pull'))
    assert.equal(stdout, 'denied: no rule lets alice pull acme/app\n')
    const added = await run('grant', 'add', 'acme', '@accounts', 'acme/a*')
    const id = /^added grant (\S+)\n$/.exec(added)?.[1] ?? ''
    assert.equal(
      await succeeds(...explain('alice', 'pull')),
      `allowed: grant ${id} lets @accounts pull acme/a*\n`,
    )
    await fails(4, ...explain('-', 'pull'))
    await run('grant', 'rm', 'acme', id)
    await fails(4, ...explain('alice', 'pull'))
    assert.equal(await run('access', 'set', 'acme/app', '--visibility', 'public'), 'acme/app is now public\n')
    assert.equal(await succeeds(...explain('-', 'pull')), 'allowed: acme/app is public\n')
    assert.equal(await run('access', 'show', 'acme/app'), 'acme/app is public, by its own setting\n')
    assert.match(await succeeds(...explain('bob', 'delete')), /^allowed: bob is an administrator\n$/)

    const rule = /^added rule (\S+)\n$/.exec(await run('rule', 'add', 'acme', 'acme/**', 'v*'))?.[1] ?? ''
    assert.match(await run('rule', 'list', 'acme'), new RegExp(`\n${rule} +acme/\\*\\* +v\\* `))
    await run('rule', 'rm', 'acme', rule)
    assert.equal(await run('rule', 'list', 'acme'), 'acme has no rules: all its tags may be changed\n')
  })

  it('rotate the keys', async () => {
    const [, first] = /^tokens are signed with (\S+) from now on\n$/.exec(await run('key', 'rotate')) ?? []
    const [, second] = /^tokens are signed with (\S+) from now on\n$/.exec(await run('key', 'rotate')) ?? []
    const keys = JSON.parse(await run('key', 'list', '--json')) as { id: string }[]
    assert.deepEqual(
      keys.map(({ id }) => id),
      [second, first],
    )
    const [, third] = /^tokens are signed with (\S+)/.exec(await run('key', 'rotate', '--forget-old')) ?? []
    const left = JSON.parse(await run('key', 'list', '--json')) as { id: string }[]
    assert.deepEqual(
      left.map(({ id }) => id),
      [third],
    )
  })

  it('name whoever ran them in the audit log, and no secret', async () => {
    await using metadata = await openSqliteMetadata(join(data, 'registry/varve.db'))
    const entries = await metadata.listAudit({ limit: 1000 })
    assert.ok(entries.length > 20)
    assert.ok(
      entries.every(({ account, credential }) => account?.startsWith('system:') && credential === 'system'),
    )
    const made = entries.findLast(({ operation }) => operation === 'tenant.create')
    assert.deepEqual([made?.target, made?.outcome], ['tenant:acme', 'allowed'])
    assert.ok(entries.some(({ outcome, operation }) => outcome === 'failed' && operation === 'tenant.delete'))
    assert.equal(JSON.stringify(entries).includes('a good password'), false)
    assert.equal(JSON.stringify(entries).includes('vrv_'), false)
  })

  it('append to the file of the audit log as well, and change nothing where they cannot', async () => {
    const [file, config] = ['audit.jsonl', 'audit.yaml'].map(name => join(directory.path, name)) as [
      string,
      string,
    ]
    await writeFile(config, `audit: { file: ${JSON.stringify(file)} }\n`)
    await run('tenant', 'create', 'filed', '--config', config)
    const entry = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
    assert.deepEqual([entry['operation'], entry['target']], ['tenant.create', 'tenant:filed'])
    await writeFile(config, `audit: { file: ${JSON.stringify(join(file, 'no directory'))} }\n`)
    const { stderr } = await fails(2, 'tenant', 'rm', 'filed', '--data', data, '--config', config)
    assert.match(stderr, /audit\.file/)
    await run('tenant', 'rm', 'filed')
  })

  it('have help that says where they work', async () => {
    const top = await succeeds('--help')
    for (const command of ['tenant', 'member', 'user', 'robot', 'token', 'grant', 'rule', 'access', 'key'])
      assert.match(top, new RegExp(`\n  ${command} `))
    assert.match(await succeeds('user', 'create', '--help'), /--password-file <file>[\s\S]*--registry/)
  })
})

describe('The commands that administer, over HTTP', () => {
  let data: string
  let registry: ServedRegistry
  let password: string
  let tokenFile: string
  before(async () => {
    data = join(directory.path, 'served')
    const config = join(directory.path, 'varve.yml')
    await writeFile(config, 'auth:\n  mode: basic\n')
    registry = await serveRegistry(data, '--config', config)
    password = (await readFile(join(data, 'admin-password'), 'utf8')).trim()
  })
  after(() => registry[Symbol.asyncDispose]())

  const run = (command: string, verb: string, ...rest: readonly string[]) =>
    succeeds(command, verb, ...rest, '--registry', registry.url, '--token-file', tokenFile)

  it('need no password that anybody knows: the first start has made one, for its own user only', async () => {
    assert.equal((await stat(join(data, 'admin-password'))).mode & 0o777, 0o600)
    assert.equal((await readdir(data)).filter(name => name.includes('admin-password')).length, 1)
    const told = registry.lines().find(({ account }) => account === 'admin')
    assert.equal(told?.['file'], join(data, 'admin-password'))
    assert.equal(JSON.stringify(registry.lines()).includes(password), false)
  })

  it('take the credentials that docker has for the registry', async () => {
    const dockerConfig = join(directory.path, 'config.json')
    const auth = Buffer.from(`admin:${password}`).toString('base64')
    await writeFile(dockerConfig, JSON.stringify({ auths: { [new URL(registry.url).host]: { auth } } }))
    await chmod(dockerConfig, 0o600)
    const config = join(directory.path, 'client.yml')
    await writeFile(config, `importer:\n  dockerConfigFile: ${dockerConfig}\n`)
    const flags = ['--registry', registry.url, '--config', config]
    const { token } = JSON.parse(await succeeds('token', 'create', 'admin', '--json', ...flags)) as {
      token: string
    }
    tokenFile = join(directory.path, 'token')
    await writeFile(tokenFile, `${token}\n`, { mode: 0o600 })
    assert.match(await succeeds('whoami', ...flags), /^account +admin\ncredential +password\nrights +admin\n/)
    assert.match(
      await succeeds('whoami', '--registry', registry.url, '--token-file', tokenFile),
      /\ncredential +token:[a-z0-9]{16}\n/,
    )
  })

  it('do there what they do here', async () => {
    await run('tenant', 'create', 'acme', '--quota', '1T')
    await run('member', 'set', 'acme', 'github/octo-org/app', '--role', 'developer')
    assert.match(await run('member', 'list', 'acme'), /\ngithub\/octo-org\/app +developer /)
    assert.match(await run('robot', 'create', 'acme', 'ci', '--role', 'guest'), /\ntoken: vrv_/)
    assert.equal(
      await run('access', 'explain', 'acme+ci', 'pull', 'acme/x'),
      'allowed: acme+ci is a guest of acme\n',
    )
    assert.match(await run('key', 'rotate'), /^tokens are signed with /)
    for (let count = 0; count < 3; count++) await run('user', 'create', `user-${count}`, '--no-password')
    assert.match(await run('user', 'list'), /admin[\s\S]*user-0[\s\S]*user-2/)
  })

  it('say in one sentence why they cannot', async () => {
    const flags = ['--registry', registry.url]
    for (const [code, why, ...args] of [
      [2, /There are no credentials for/, 'tenant', 'list', ...flags],
      [2, /is no URL of a registry/, 'tenant', 'list', '--registry', 'example.com'],
      [2, /Write no password into --registry/, 'tenant', 'list', '--registry', 'http://a:b@127.0.0.1:1'],
      [2, /everybody on the way would learn the token/, 'tenant', 'list', '--registry', 'http://192.0.2.1'],
      [6, /does not answer/, 'tenant', 'list', '--registry', 'http://127.0.0.1:1', '--token-file', tokenFile],
      [
        1,
        /is no endpoint of this registry/,
        'tenant',
        'list',
        '--registry',
        registry.debugUrl,
        '--token-file',
        tokenFile,
      ],
    ] as const) {
      const { stderr } = await fails(code, ...args)
      assert.match(stderr, why)
      assert.match(stderr, /^varve: .+\n$/)
    }
    const wrong = join(directory.path, 'wrong')
    await writeFile(wrong, 'vrv_0000000000000000_wrong', { mode: 0o600 })
    const { stderr } = await fails(4, 'tenant', 'list', ...flags, '--token-file', wrong)
    assert.match(stderr, /no API token that is good/)
    assert.equal(stderr.includes('vrv_0'), false)
  })

  it('leave no password and no token in the log', () => {
    const log = JSON.stringify(registry.lines())
    assert.equal(log.includes(password), false)
    assert.equal(/vrv_[a-z0-9]{16}_/.test(log), false)
  })
})

describe('A registry that asks nobody who they are', () => {
  it('makes no admin, and says over HTTP where it is administered', async () => {
    const data = join(directory.path, 'open')
    await using registry = await serveRegistry(data)
    assert.equal((await readdir(data)).includes('admin-password'), false)
    const token = join(directory.path, 'any-token')
    await writeFile(token, 'vrv_x', { mode: 0o600 })
    const { stderr } = await fails(1, 'tenant', 'list', '--registry', registry.url, '--token-file', token)
    assert.match(stderr, /set auth\.mode to token or basic/)
  })
})
