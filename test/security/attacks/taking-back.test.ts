/** What was deleted, was there before, or has another name now: for those whom it does not concern, and against limits. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { parseAccountName, parseTenantName, type TenantName } from '../../../src/storage/accounts/names.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { parseRepositoryName, parseTag, type RepositoryName } from '../../../src/storage/reference.ts'
import {
  type AttackedRegistry,
  essenceOf,
  secretLayer,
  startAttacked,
} from '../../support/attacked-registry.ts'
import { looseManifest } from '../../support/records.ts'
import type { Answer } from '../../support/registry-client.ts'

const zoe = parseAccountName('zoe')
const mia = parseAccountName('mia')

describe('What was deleted, or has another name', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry
  let tenants = 0
  /** Zoe owns it, and mia is a maintainer of it. */
  let mine: TenantName
  before(async () => {
    registry = resources.use(await startAttacked())
  })
  after(() => resources.disposeAsync())
  beforeEach(async () => {
    tenants += 1
    mine = parseTenantName(`mine${tenants}`)
    await registry.metadata.createTenant({ name: mine })
    await registry.metadata.setMember(mine, zoe, 'owner')
    await registry.metadata.setMember(mine, mia, 'maintainer')
  })

  async function send(who: string | undefined, method: string, path: string, body?: object): Promise<Answer> {
    return await registry
      .with(who === undefined ? undefined : registry.login(who))
      .send(
        method,
        path,
        body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } },
      )
  }
  const onRepository = async (
    who: string | undefined,
    method: string,
    name: string,
    what: string,
    body?: object,
  ): Promise<Answer> => await send(who, method, `/api/v1/repositories/${name}/${what}`, body)
  const named = (rest: string): RepositoryName => parseRepositoryName(`${mine}/${rest}`)
  const setQuota = async (quota: { quotaBytes?: number; quotaRepositories?: number }): Promise<void> => {
    await registry.metadata.updateTenant(mine, quota)
  }

  it('is the same to strangers as what never was: all routes, all answers', async () => {
    const { metadata, manifest, login } = registry
    const layer = digestOf(secretLayer)
    const owner = registry.with(login('dave'))
    for (const name of ['gone', 'tags', 'left']) await owner.pushImage(`acme/${name}`, 'v1', secretLayer)
    await metadata.deleteRepository(parseRepositoryName('acme/gone'))
    await metadata.deleteManifest(parseRepositoryName('acme/tags'), manifest)
    await metadata.renameRepository({
      from: parseRepositoryName('acme/left'),
      to: parseRepositoryName('acme/here'),
    })
    await registry.unharmed(async () => {
      for (const who of ['zoe', 'oscar', undefined])
        for (const [name, absent] of [
          ['acme/gone', 'acme/nono'],
          ['acme/tags', 'acme/nono'],
          ['acme/left', 'acme/nono'],
          ['acme/here', 'acme/nono'],
          ['acme/here', 'none/here'],
        ] as const)
          for (const [method, path, body] of [
            ['GET', `/api/v1/repositories/${name}/facts`],
            ['GET', `/api/v1/repositories/${name}/tags`],
            ['GET', `/api/v1/repositories/${name}/tags/v1/history`],
            ['POST', `/api/v1/repositories/${name}/tags/v1/restorations`, {}],
            ['POST', `/api/v1/repositories/${name}/tags/v1/restorations`, { digest: manifest }],
            ['DELETE', `/api/v1/repositories/${name}/tags/v1/target`],
            ['GET', `/api/v1/repositories/${name}/deleted-manifests`],
            ['PUT', `/api/v1/repositories/${name}/deleted-manifests/${manifest}/restoration`, {}],
            ['DELETE', `/api/v1/repositories/${name}/deleted-manifests/${manifest}/content`],
            ['PUT', `/api/v1/repositories/${name}/deletion`, {}],
            ['POST', `/api/v1/repositories/${name}/restorations`, {}],
            ['DELETE', `/api/v1/repositories/${name}/remains`],
            ['PUT', `/api/v1/repositories/${name}/name`, { name: 'other/mine-now' }],
            ['GET', `/api/v1/repositories/${name}/retention`],
            ['PUT', `/api/v1/repositories/${name}/tags/v1/expiry`, { expiresAt: null }],
            ['GET', `/api/v1/repositories?tenant=${name.split('/')[0]}&deleted=true`],
            ['GET', `/v2/${name}/tags/list`],
            ['GET', `/v2/${name}/manifests/v1`],
            ['GET', `/v2/${name}/manifests/${manifest}`],
            ['HEAD', `/v2/${name}/blobs/${layer}`],
            ['GET', `/v2/${name}/referrers/${manifest}`],
          ] as const) {
            const answer = await send(who, method, path, body)
            const other = await send(
              who,
              method,
              path.replace(name, absent).replace('tenant=acme', `tenant=${absent.split('/')[0]}`),
              body,
            )
            assert.ok([401, 403, 404].includes(answer.status), `${method} ${path}: ${answer.status}`)
            const words = [name, absent, 'acme', 'none']
            assert.equal(essenceOf(answer, ...words), essenceOf(other, ...words), `${who} ${method} ${path}`)
          }
    })
  })

  it('is not brought where one owns nothing, and nobody is told what is there', async () => {
    const { metadata } = registry
    const from = named('app')
    await metadata.putManifest(from, looseManifest('taken', 'v1'))
    await registry.unharmed(async () => {
      const targets = ['acme/app', 'acme/free', 'none/app', 'site/app', 'site/free']
      const answers = await Promise.all(
        targets.map(async name => {
          const answer = await onRepository('zoe', 'PUT', from, 'name', { name })
          return essenceOf(answer, name.split('/')[0] ?? '')
        }),
      )
      assert.equal(new Set(answers).size, 1, answers.join('\n'))
      assert.match(answers[0] ?? '', /^\[404,/)
      for (const name of [
        '',
        'x/',
        '../acme/app',
        'acme//app',
        `${mine}/UPPER`,
        `${mine}/${'x'.repeat(300)}`,
        7,
        null,
        ['a/b'],
      ])
        assert.equal((await onRepository('zoe', 'PUT', from, 'name', { name })).status, 400, String(name))
      // Whoever is more than a member of one of them only, in either direction.
      assert.equal((await onRepository('mia', 'PUT', from, 'name', { name: named('web') })).status, 403)
      assert.equal((await onRepository('mia', 'PUT', 'acme/app', 'name', { name: named('web') })).status, 403)
      for (const force of [true, false])
        assert.equal(
          (await onRepository('zoe', 'PUT', from, 'name', { name: named('web'), force })).status,
          403,
        )
    })
  })

  it('takes no name that somebody has, or has had, and opens nothing to everybody unasked', async () => {
    const { metadata } = registry
    const open = parseTenantName(`open${tenants}`)
    await metadata.createTenant({ name: open, visibility: 'public' })
    await metadata.setMember(open, zoe, 'owner')
    const [from, taken, gone] = [
      named('app'),
      ...['taken', 'gone'].map(rest => parseRepositoryName(`${open}/${rest}`)),
    ]
    for (const name of [from, taken, gone]) {
      assert.ok(name)
      await metadata.putManifest(name, looseManifest(`of ${name}`, 'v1'))
    }
    assert.ok(taken && gone)
    await metadata.deleteRepository(gone)
    await registry.unharmed(async () => {
      for (const name of [taken, gone]) {
        const { status, codes } = await onRepository('zoe', 'PUT', from, 'name', {
          name,
          visibility: 'private',
        })
        assert.deepEqual([status, codes], [409, ['ALREADY_EXISTS']])
      }
      const unasked = await onRepository('zoe', 'PUT', from, 'name', { name: `${open}/app` })
      assert.equal(unasked.status, 409, unasked.bytes.toString())
    })
    const answer = await onRepository('zoe', 'PUT', from, 'name', {
      name: `${open}/app`,
      visibility: 'private',
    })
    assert.equal(answer.status, 200, answer.bytes.toString())
    assert.equal((await send(undefined, 'GET', `/v2/${open}/app/manifests/v1`)).status, 401)
    assert.equal((await send(undefined, 'GET', `/v2/${open}/taken/manifests/v1`)).status, 200)
  })

  it('gets round no rule for tags: not by deletion, restoring, renaming, expiry', async () => {
    const { metadata } = registry
    const repository = named('app')
    await metadata.putManifest(repository, looseManifest('old', 'v1'))
    await metadata.putManifest(repository, looseManifest('new', 'v1'))
    await metadata.addTagRule({ tenant: mine, repositories: `${mine}/**`, tags: 'v*' })
    const { digest } = looseManifest('old', 'v1')
    await registry.unharmed(async () => {
      for (const who of ['zoe', 'mia'])
        for (const [method, what, body] of [
          ['PUT', 'deletion', {}],
          ['PUT', 'name', { name: named('other') }],
          ['DELETE', 'tags/v1/target', undefined],
          ['POST', 'tags/v1/restorations', {}],
          ['POST', 'tags/v1/restorations', { digest }],
          ['PUT', 'tags/v1/expiry', { expiresAt: '2000-01-01T00:00:00Z' }],
        ] as const) {
          const { status, bytes } = await onRepository(who, method, repository, what, body)
          const isRename = who === 'mia' && what === 'name'
          assert.equal(status, isRename ? 403 : 409, `${who} ${what} ${bytes.toString()}`)
        }
      for (const what of ['deletion', 'name'])
        for (const who of ['zoe', 'mia']) {
          const body = { force: true, ...(what === 'name' ? { name: named('other') } : {}) }
          assert.equal((await onRepository(who, 'PUT', repository, what, body)).status, 403)
        }
    })
  })

  it('does not exceed the number of repositories that a tenant may have, however it comes back', async () => {
    const { metadata } = registry
    const names = ['one', 'two', 'three'].map(named)
    for (const name of names) {
      await metadata.putManifest(name, looseManifest(name, 'v1'))
      await metadata.deleteRepository(name)
    }
    await setQuota({ quotaRepositories: 1 })
    const [one, two, three] = names
    assert.ok(one && two && three)
    await metadata.putManifest(named('now'), looseManifest('now', 'v1'))
    const { digest } = looseManifest(two, 'v1')
    await registry.unharmed(async () => {
      for (const [name, method, what] of [
        [one, 'POST', 'restorations'],
        [one, 'POST', 'tags/v1/restorations'],
        [two, 'PUT', `deleted-manifests/${digest}/restoration`],
      ] as const) {
        const { status, bytes } = await onRepository('mia', method, name, what, {})
        assert.equal(status, 403, `${what} ${bytes.toString()}`)
        assert.match(bytes.toString(), /quota/)
      }
    })
    await metadata.deleteRepository(named('now'))
    const answers = await Promise.all(
      names.map(name => onRepository('mia', 'POST', name, 'restorations', {})),
    )
    assert.deepEqual(
      answers.map(({ status }) => status).sort((a, b) => a - b),
      [201, 403, 403],
    )
    assert.equal((await metadata.getUsage(mine)).repositories, 1)
    // What is there is restored as before.
    await metadata.deleteTag(
      named((await metadata.listRepositories({ limit: 1, after: `${mine}/` }))[0]?.split('/')[1] ?? ''),
      parseTag('v1'),
    )
    const back = (await metadata.listRepositories({ limit: 1, after: `${mine}/` }))[0] ?? ''
    assert.equal((await onRepository('mia', 'POST', back, 'tags/v1/restorations', {})).status, 201)
  })

  it('costs its bytes until it goes: fill, delete, and fill again is refused', async () => {
    const { metadata, login } = registry
    await setQuota({ quotaBytes: 100_000 })
    const client = registry.with(login('zoe'))
    const [first, second] = ['a', 'b'].map(letter => Buffer.alloc(60_000, `${letter}${mine}`))
    assert.ok(first && second)
    const pushed = await client.pushImage(named('app'), 'v1', first)
    const push = async (repository: string): Promise<number> =>
      (
        await client.send('POST', `/v2/${repository}/blobs/uploads/?digest=${digestOf(second)}`, {
          body: second,
        })
      ).status
    for (const how of ['manifest', 'repository'] as const) {
      if (how === 'manifest') await client.send('DELETE', `/v2/${named('app')}/manifests/${pushed}`)
      else assert.equal((await onRepository('zoe', 'PUT', named('app'), 'deletion', {})).status, 200)
      assert.equal(await push(named('again')), 403, how)
      assert.equal(await push(named('app')), 403, how)
      assert.ok((await metadata.getUsage(mine)).bytes >= 60_000)
      assert.equal(
        (
          await onRepository(
            'zoe',
            'POST',
            named('app'),
            how === 'manifest' ? 'tags/v1/restorations' : 'restorations',
            {},
          )
        ).status,
        201,
        how,
      )
    }
    assert.equal((await onRepository('zoe', 'PUT', named('app'), 'deletion', {})).status, 200)
    assert.equal((await onRepository('zoe', 'DELETE', named('app'), 'remains')).status, 204)
    assert.equal((await metadata.getUsage(mine)).bytes, 0)
    assert.equal(await push(named('again')), 201)
    assert.deepEqual(await metadata.recountUsage(mine), await metadata.getUsage(mine))
  })

  it('brings no more into a tenant than it has room for', async () => {
    const { metadata, login } = registry
    const small = parseTenantName(`small${tenants}`)
    await metadata.createTenant({ name: small, quotaBytes: 10_000, quotaRepositories: 1 })
    await metadata.setMember(small, zoe, 'owner')
    const client = registry.with(login('zoe'))
    const pushed = await client.pushImage(named('large'), 'v1', Buffer.alloc(20_000, `large ${mine}`))
    // Deleted, it costs as much as before.
    await metadata.deleteManifest(named('large'), pushed)
    await metadata.putManifest(named('large'), looseManifest('x', 'x'))
    for (const rest of ['one', 'two']) await metadata.putManifest(named(rest), looseManifest(rest, 'v1'))
    const rename = async (rest: string): Promise<number> =>
      (await onRepository('zoe', 'PUT', named(rest), 'name', { name: `${small}/${rest}` })).status
    await registry.unharmed(async () => assert.equal(await rename('large'), 403))
    assert.deepEqual(
      (await Promise.all(['one', 'two'].map(rename))).sort((a, b) => a - b),
      [200, 403],
    )
    assert.equal((await metadata.getUsage(small)).repositories, 1)
  })

  it('is not what one names it: a tag comes back to what it named only', async () => {
    const { metadata, manifest } = registry
    const repository = named('app')
    await metadata.putManifest(repository, looseManifest('one', 'v1'))
    await metadata.putManifest(repository, looseManifest('two', 'v2'))
    const { digest } = looseManifest('two', 'v2')
    await registry.unharmed(async () => {
      for (const wanted of [manifest, digest, digestOf(Buffer.from('nothing'))])
        assert.equal(
          (await onRepository('mia', 'POST', repository, 'tags/v1/restorations', { digest: wanted })).status,
          404,
          wanted,
        )
      for (const wanted of ['latest', 'sha256:x', `sha256:${'0'.repeat(63)}`, '', 1, null, {}])
        assert.equal(
          (await onRepository('mia', 'POST', repository, 'tags/v1/restorations', { digest: wanted })).status,
          400,
          JSON.stringify(wanted),
        )
      for (const last of ['x', '-1', '1e9', `${'9'.repeat(16)}`, '1@sha256:x', "1@' or 1=1 --", '\u0000'])
        for (const what of ['tags/v1/history', 'deleted-manifests']) {
          const query = `${what}?last=${encodeURIComponent(last)}`
          assert.equal((await onRepository('mia', 'GET', repository, query)).status, 400, query)
        }
    })
  })

  it('is for nobody whose token is narrowed, nor for one that can only pull or push', async () => {
    const { metadata } = registry
    const repository = named('app')
    await metadata.putManifest(repository, looseManifest('one', 'v1'))
    await registry.unharmed(async () => {
      const bearer = await registry.bearer('zoe', `repository:${repository}:pull,push,delete`)
      for (const [method, what, body] of [
        ['PUT', 'deletion', {}],
        ['PUT', 'name', { name: named('web') }],
        ['GET', 'tags/v1/history', undefined],
        ['DELETE', 'tags/v1/target', undefined],
      ] as const) {
        const { status } = await registry
          .with(bearer)
          .send(
            method,
            `/api/v1/repositories/${repository}/${what}`,
            body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } },
          )
        assert.equal(status, 401, what)
      }
    })
  })

  it('is hidden from mounts, and a session that was begun before ends with it', async () => {
    const { login } = registry
    const client = registry.with(login('zoe'))
    const layer = Buffer.from(`a layer of ${mine}`)
    await client.pushImage(named('app'), 'v1', layer)
    const location = await client.startUpload(named('app'))
    assert.equal((await client.send('PATCH', location, { body: 'some bytes' })).status, 202)
    assert.equal((await onRepository('zoe', 'PUT', named('app'), 'deletion', {})).status, 200)
    for (const method of ['GET', 'PATCH', 'DELETE'])
      assert.equal((await client.send(method, location)).status, 404, method)
    assert.equal((await registry.metadata.getUsage(mine)).uploadingBytes, 0)
    const mount = `/v2/${named('web')}/blobs/uploads/?mount=${digestOf(layer)}&from=${named('app')}`
    assert.equal((await client.send('POST', mount)).status, 202)
  })
})
