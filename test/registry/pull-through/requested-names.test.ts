import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DomainError } from '../../../src/errors.ts'
import { RequestedNames } from '../../../src/registry/pull-through/requested-names.ts'
import {
  alsoMeant,
  ownNameOf,
  sourceNameOf,
  type UpstreamNames,
} from '../../../src/registry/pull-through/upstream-names.ts'
import type { TenantRecords } from '../../../src/storage/metadata/tenant-records.ts'
import { parseRepositoryName, type RepositoryName } from '../../../src/storage/reference.ts'

const nothing = { namespaces: [], hosts: [], root: false, repositoryPrefix: '', library: false }
const hub: UpstreamNames = {
  ...nothing,
  prefix: parseRepositoryName('docker.io'),
  registry: 'docker.io',
  namespaces: ['docker.io', 'registry-1.docker.io'],
  hosts: ['hub.test', 'hub.test:5000'],
  root: true,
  library: true,
}
const acme: UpstreamNames = { ...nothing, prefix: parseRepositoryName('acme/hub'), registry: 'docker.io' }
const quay: UpstreamNames = {
  ...nothing,
  prefix: parseRepositoryName('quay.io'),
  registry: 'quay.io',
  namespaces: ['quay.io'],
  repositoryPrefix: 'proxy/',
}

/** `acme` and `site` are tenants; `solo/app` is a repository of nobody's. */
const records = {
  hasRepository: (name: RepositoryName) => Promise.resolve(name === 'solo/app'),
  getTenant: (name: string): ReturnType<TenantRecords['getTenant']> => {
    if (name !== 'acme' && name !== 'site')
      return Promise.reject(new DomainError('not_found', 'no', { resource: 'tenant' }))
    // Nobody looks at what it is.
    return Promise.resolve({} as Awaited<ReturnType<TenantRecords['getTenant']>>)
  },
}
const names = new RequestedNames([hub, acme, quay], records)

const meant = async (
  name: string,
  {
    ns = null,
    host = 'varve.test',
    operation = 'manifest.get',
  }: { ns?: string | null; host?: string; operation?: string } = {},
) => (await names.meantBy({ operation, name, namespace: ns, host }))?.repository

describe('the repository that a request is about', () => {
  it('is that of the path, below a prefix', async () => {
    assert.equal(await meant('docker.io/library/debian'), 'docker.io/library/debian')
    assert.equal(await meant('docker.io/debian'), 'docker.io/library/debian')
    assert.equal(await meant('quay.io/debian'), 'quay.io/debian')
    assert.equal(await meant('acme/hub/a'), 'acme/hub/a')
    assert.equal(await meant('docker.io/docker.io/a'), 'docker.io/docker.io/a')
  })

  it('is upstream’s by ns, where that is known, whatever is in the path', async () => {
    assert.equal(await meant('debian', { ns: 'docker.io' }), 'docker.io/library/debian')
    assert.equal(await meant('acme/web', { ns: 'registry-1.docker.io' }), 'docker.io/acme/web')
    assert.equal(await meant('a/b', { ns: 'quay.io' }), 'quay.io/a/b')
    assert.equal(await meant('docker.io/a', { ns: 'quay.io' }), 'quay.io/docker.io/a')
    // containerd with override_path.
    assert.equal(await meant('docker.io/library/debian', { ns: 'docker.io' }), 'docker.io/library/debian')
    assert.equal(await meant('acme/hub/library/debian', { ns: 'docker.io' }), 'acme/hub/library/debian')
    for (const ns of ['', 'DOCKER.IO', 'elsewhere.test', 'docker.io/', '../acme', 'acme'])
      assert.equal(await meant('acme/web', { ns }), undefined, ns)
  })

  it('is upstream’s at a host of its own', async () => {
    for (const host of ['hub.test', 'HUB.test:5000'])
      assert.equal(await meant('acme/web', { host }), 'docker.io/acme/web')
    for (const host of ['hub.test:5001', 'hub.test.', 'xhub.test', ''])
      assert.equal(await meant('acme/web', { host }), undefined)
  })

  it('is never that of another registry than ns says, at the root or at a host', async () => {
    for (const ns of ['ghcr.io', 'DOCKER.IO', 'docker.io.elsewhere.test', 'docker.io/']) {
      assert.equal(await meant('debian', { ns }), undefined, ns)
      assert.equal(await meant('debian', { ns, host: 'hub.test' }), undefined, ns)
    }
    assert.equal(await meant('a/b', { ns: 'quay.io', host: 'hub.test' }), 'quay.io/a/b')
    for (const ns of [null, '', 'docker.io', 'registry-1.docker.io'])
      for (const host of ['varve.test', 'hub.test'])
        assert.equal(await meant('debian', { ns, host }), 'docker.io/library/debian', `${ns} ${host}`)
  })

  it('is that of the host, of two upstreams that are the same registry for two users', async () => {
    const ours = { ...acme, hosts: ['acme.test'] }
    const both = new RequestedNames([hub, ours], records)
    const at = async (host: string) =>
      await both.meantBy({ operation: 'manifest.get', name: 'a/b', namespace: 'docker.io', host })
    assert.deepEqual(await at('acme.test'), { repository: 'acme/hub/a/b', namespace: 'docker.io' })
    assert.deepEqual(await at('hub.test'), { repository: 'docker.io/a/b', namespace: 'docker.io' })
    assert.deepEqual(await at('varve.test'), { repository: 'docker.io/a/b', namespace: 'docker.io' })
  })

  it('is upstream’s at the root, when it is nobody’s here and nothing is changed', async () => {
    assert.equal(await meant('debian'), 'docker.io/library/debian')
    assert.equal(await meant('a/b/c'), 'docker.io/a/b/c')
    for (const ours of ['solo/app', 'acme/web', 'acme', 'site/new', 'docker.io', 'quay.io', 'acme/hub'])
      assert.equal(await meant(ours), undefined, ours)
    for (const operation of [
      'manifest.put',
      'manifest.delete',
      'blob.delete',
      'upload.start',
      'upload.status',
      'repository.extensions',
    ])
      assert.equal(await meant('debian', { operation }), undefined, operation)
    for (const operation of ['manifest.head', 'blob.get', 'blob.head', 'tags.list', 'referrers'])
      assert.equal(await meant('debian', { operation }), 'docker.io/library/debian', operation)
  })

  it('is left to others to refuse where it has no name, and is not there where the name would be too long', async () => {
    for (const name of ['', 'A', '../acme', 'a//b', 'docker.io/', 'docker.io/../acme/web', 'a%2fb', 'ａ'])
      assert.equal(await meant(name, { ns: 'docker.io' }), undefined, name)
    await assert.rejects(meant('a'.repeat(250)), { code: 'not_found' })
  })

  it('is never one of ours but by its own name, and always below the prefix that is meant', async () => {
    const part = fc.constantFrom('docker.io', 'acme', 'hub', 'web', 'quay.io', 'solo', 'app', 'library', 'x')
    const name = fc.array(part, { minLength: 1, maxLength: 5 }).map(parts => parts.join('/'))
    const ns = fc.option(fc.constantFrom('docker.io', 'quay.io', 'elsewhere', 'acme', ''))
    const host = fc.constantFrom('hub.test', 'varve.test')
    await fc.assert(
      fc.asyncProperty(name, ns, host, async (asked, namespace, called) => {
        const found = await meant(asked, { ns: namespace, host: called })
        if (found === undefined) return
        const upstream = [hub, acme, quay].find(({ prefix }) => found.startsWith(`${prefix}/`))
        assert.ok(upstream, found)
        // Asked for by our name, it is the same again.
        assert.equal(await meant(found), found)
        // A token for what the client knows is good for it, unless a challenge has to say so (ns).
        if (namespace === null && called === 'varve.test' && found !== asked)
          assert.ok(alsoMeant([hub, acme, quay], asked).includes(found), `${asked} ${found}`)
      }),
    )
  })
})

describe('names of an upstream', () => {
  it('go there and back', () => {
    const component = fc.stringMatching(/^[a-z0-9]{1,8}$/)
    fc.assert(
      fc.property(fc.array(component, { minLength: 2, maxLength: 4 }), parts => {
        const name = parts.join('/')
        for (const upstream of [hub, acme, quay]) {
          const own = ownNameOf(upstream, name)
          assert.ok(own)
          assert.equal(sourceNameOf(upstream, own), `${upstream.repositoryPrefix}${name}`)
        }
      }),
    )
    assert.equal(sourceNameOf(hub, parseRepositoryName('acme/web')), undefined)
    assert.equal(sourceNameOf(hub, parseRepositoryName('docker.io')), undefined)
    assert.equal(sourceNameOf(hub, parseRepositoryName('docker.iox/a')), undefined)
    assert.equal(ownNameOf(hub, 'b'.repeat(254)), undefined)
  })
})
