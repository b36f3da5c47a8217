import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { stringify } from 'yaml'
import { openRemoteRegistries } from '../../src/cli/open-remote-registries.ts'
import { type LoadedConfig, loadConfig } from '../../src/config.ts'
import { parseRepositoryName, parseTag } from '../../src/storage/reference.ts'
import { startForwardProxy } from '../support/forward-proxy.ts'
import { rejectsWith } from '../support/rejects.ts'
import { serveScript } from '../support/scripted-server.ts'
import { servedImage } from '../support/served-image.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const image = servedImage()
const tag = { kind: 'tag', tag: parseTag('1') } as const
const repository = parseRepositoryName('team/app')

describe('The settings of registries elsewhere', () => {
  let directory: TemporaryDirectory
  before(async () => {
    directory = await temporaryDirectory()
  })
  after(() => directory.remove())

  async function load(remote: object): Promise<LoadedConfig> {
    const file = join(directory.path, 'varve.yaml')
    await writeFile(file, stringify({ remote }))
    return loadConfig({ file, environment: {} })
  }

  async function written(name: string, text: string): Promise<string> {
    const file = join(directory.path, name)
    await writeFile(file, text, { mode: 0o600 })
    return file
  }

  it('are empty unless given', () => {
    const { remote } = loadConfig({ environment: {} }).config
    assert.deepEqual(remote, {
      credentials: [],
      credentialHelpers: false,
      plainHttp: [],
      noProxy: [],
      privateRedirects: [],
    })
  })

  it('are lists in the environment, too', () => {
    const environment = {
      VARVE_REMOTE_PLAIN_HTTP: 'r.example:5000, 10.0.0.1:80',
      VARVE_REMOTE_NO_PROXY: '.corp,10.0.0.0/8',
      VARVE_REMOTE_PRIVATE_REDIRECTS: '10.0.0.0/8',
      VARVE_REMOTE_PROXY: 'http://proxy.corp:3128',
    }
    const { remote } = loadConfig({ environment }).config
    assert.deepEqual(remote.plainHttp, ['r.example:5000', '10.0.0.1:80'])
    assert.deepEqual([remote.noProxy, remote.privateRedirects], [['.corp', '10.0.0.0/8'], ['10.0.0.0/8']])
    assert.equal(remote.proxy, 'http://proxy.corp:3128')
  })

  for (const [what, remote, words] of [
    ['a range that is none', { privateRedirects: ['10.0.0.0/99'] }, /not a range of addresses/],
    ['a name for a range', { privateRedirects: ['corp'] }, /not a range of addresses/],
    ['an exception that is no range', { noProxy: ['10.0.0.0/99'] }, /not a range of addresses/],
    ['a proxy with a password', { proxy: 'http://u:hunter2@proxy/' }, /proxyCredentialsFile/],
    ['a proxy that is no URL', { proxy: 'proxy:3128' }, /remote\.proxy/],
    ['a registry with a scheme', { plainHttp: ['http://r.example'] }, /without https/],
    ['what is not known', { plainHtpp: [] }, /plainHttp/],
  ] as const)
    it(`refuse ${what}`, async () => {
      const { message } = await rejectsWith('invalid', load(remote))
      assert.match(message, words)
      assert.doesNotMatch(message, /hunter2/)
    })

  it('open registries with their credentials, and through their proxy', async () => {
    await using proxy = await startForwardProxy()
    const basic = `Basic ${Buffer.from('alice:secret').toString('base64')}`
    await using server = await serveScript(({ authorization }, response) => {
      if (authorization === basic) response.end(image.manifest)
      else response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
    })
    const host = `r.example:${server.host.split(':')[1]}`
    const { config } = await load({
      plainHttp: [host],
      proxy: proxy.url.href,
      proxyCredentialsFile: await written('proxy', 'us:them\n'),
      credentials: [
        {
          name: 'ours',
          registry: host,
          repositories: ['team/*'],
          username: 'alice',
          passwordFile: await written('ours', 'secret\n'),
        },
        { name: 'theirs', registry: 'other.example', username: 'bob', passwordFile: '/none' },
      ],
    })
    await using registries = openRemoteRegistries(config)
    for (const credentials of [undefined, 'ours'])
      await registries.open(host, { credentials }).repository(repository).get(tag)
    assert.equal(proxy.authorizations[0], `Basic ${Buffer.from('us:them').toString('base64')}`)

    const asNobody = registries.open(host, { credentials: null }).repository(repository)
    await rejectsWith('unauthorized', asNobody.get(tag))
    const unfit = registries.open(host, { credentials: 'ours' }).repository(parseRepositoryName('else/where'))
    await rejectsWith('denied', unfit.get(tag))
    // Those of some repositories are not for what is of none, unless they are named.
    await rejectsWith('unauthorized', registries.open(host).ping())
    await registries.open(host, { credentials: 'ours' }).ping()
    for (const [name, code] of [
      ['none', 'invalid'],
      ['theirs', 'denied'],
    ] as const)
      await rejectsWith(code, (async () => registries.open(host, { credentials: name }))())
  })

  for (const registry of [
    '',
    'word',
    'https://r.example',
    'r.example/path',
    'u:p@r.example',
    'r.example:x',
    'a b',
  ])
    it(`open no ${JSON.stringify(registry)}`, async () => {
      const { config } = loadConfig({ environment: {} })
      await using registries = openRemoteRegistries(config)
      await rejectsWith('invalid', (async () => registries.open(registry))())
    })

  it('have files that must be there', async () => {
    const empty = await written('empty', 'no certificate')
    for (const remote of [
      { caFile: join(directory.path, 'none') },
      { caFile: empty },
      { proxy: 'http://proxy/', proxyCredentialsFile: join(directory.path, 'none') },
    ]) {
      const { config } = await load(remote)
      await rejectsWith('invalid', (async () => openRemoteRegistries(config))())
    }
  })
})
