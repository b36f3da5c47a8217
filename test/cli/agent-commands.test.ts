/** Commands that an agent elsewhere answers, and those that only an agent can answer. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { JobSummary } from '../../src/importer/jobs/job-records.ts'
import { type Ran, runVarve } from '../support/run-varve.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { dir, file, tar } from '../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { pushTestImage } from '../support/test-images.ts'
import { startVarveAgent, type VarveAgent } from '../support/varve-agent.ts'

const token = 'a-token-of-the-tests-0123456789'
const skip = process.getuid?.() === 0 ? false : 'chains need root'

describe('varve with an agent elsewhere', { skip, timeout: 180_000 }, () => {
  const stack = new AsyncDisposableStack()
  let directory: TemporaryDirectory
  let registry: TestRegistry
  let agent: VarveAgent
  let image = ''

  before(async () => {
    directory = stack.use(await temporaryDirectory())
    registry = await startRegistry()
    stack.defer(() => registry.stop())
    image = `${new URL(registry.url).host}/team/app:1`
    const client = new RegistryClient(registry.url)
    await pushTestImage(client, 'team/app', '1', { layers: [tar(dir('etc'), file('etc/motd', 'hello'))] })
    await writeFile(path('tokens'), `${token}\n`, { mode: 0o600 })
    const settings = {
      data: path('data'),
      importer: { agent: { address: '127.0.0.1:0', tokenFile: path('tokens'), insecure: true } },
    }
    await writeFile(path('agent.yaml'), JSON.stringify(settings))
    agent = await startVarveAgent(['--config', path('agent.yaml')])
    stack.defer(async () => {
      await agent.stop()
    })
    // That of the commands names no agent on this machine.
    const client2 = { data: path('elsewhere'), agent: { url: agent.url, tokenFile: path('tokens') } }
    await writeFile(path('client.yaml'), JSON.stringify(client2))
  })
  after(() => stack.disposeAsync())

  const path = (name: string): string => join(directory.path, name)
  const varve = (command: string, ...args: readonly string[]): Promise<Ran> =>
    runVarve([command, '--config', path('client.yaml'), ...args])
  const jsonOf = async <Value>(command: string, ...args: readonly string[]): Promise<Value> => {
    const { code, stdout, stderr } = await varve(command, '--json', ...args)
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as Value
  }

  it('leaves an import to the agent, lists it and follows it', async () => {
    const job = await jsonOf<JobSummary>('import', '--detach', '--priority', '7', image)
    assert.deepEqual([job.image, job.priority], [image, 7])
    const followed = await varve('imports', '--follow', job.id)
    assert.equal(followed.code, 0, followed.stderr)
    assert.match(followed.stdout, /"type":"done".*\n$/)
    const jobs = await jsonOf<JobSummary[]>('imports')
    assert.deepEqual(
      jobs.map(({ id, state }) => [id, state]),
      [[job.id, 'done']],
    )
    const { stdout } = await varve('imports')
    assert.match(stdout, /ID .*STATE .*\n.* done +1\/1, /)
    assert.equal((await varve('imports', '--cancel', 'absent')).code, 3)
  })

  it('makes one clone or many, and imports the image first where it is told to', async () => {
    assert.equal((await varve('clone', `${image}x`, 'web0')).code, 3)
    const one = await jsonOf<{ rootfs: string }>('clone', '--pull', 'missing', image, 'web1')
    assert.match(one.rootfs, /web1/)
    const many = await varve('clone', image, 'web2', 'web3')
    assert.deepEqual([many.code, many.stdout.split('\n').length], [0, 3], many.stderr)
    const names = (await jsonOf<{ name: string }[]>('clones')).map(({ name }) => name)
    assert.deepEqual(names, ['web1', 'web2', 'web3'])
    assert.equal((await varve('clone', image, 'a', 'b', '--mountpoint', '/x')).code, 2)
    assert.deepEqual(await jsonOf('rm', 'web1', 'web2', 'web3'), ['web1', 'web2', 'web3'])
  })

  it('says what became of each of many clones', async () => {
    const client = new RegistryClient(registry.url)
    await pushTestImage(client, 'team/other', '1', { layers: [tar(file('other', 'other'))] })
    const other = image.replace('app', 'other')
    await jsonOf('clone', '--pull', 'always', other, 'taken')
    await jsonOf('import', '--detach', image)
    const { code, stdout, stderr } = await varve('clone', '--pull', 'missing', image, 'free', 'taken')
    assert.deepEqual([code, stdout.split('\n').length], [5, 2])
    assert.match(stderr, /^varve: .*taken.*\n$/)
    const removal = await varve('rm', '--json', 'free', 'absent', 'taken')
    assert.deepEqual([removal.code, JSON.parse(removal.stdout)], [3, ['free', 'taken']])
    assert.match(removal.stderr, /^varve: .*absent.*\n$/)
  })

  it('shows, prunes and removes images', async () => {
    await varve('import', image)
    assert.match((await varve('inspect', image)).stdout, /team\/app:1/)
    assert.match((await varve('history')).stdout, /team\/app:1/)
    assert.match((await varve('prune', '--unused', '1d')).stdout, /freed 0 B/)
    assert.equal((await varve('prune')).code, 2)
    assert.equal((await varve('rmi', 'absent', 'absent:too')).code, 3)
    const removed = await jsonOf<{ names: string[] }[]>('rmi', image)
    assert.deepEqual(removed[0]?.names, [image])
    assert.deepEqual(await jsonOf('images').then(images => JSON.stringify(images).includes('app:1')), false)
  })

  it('says that directories cannot be published', async () => {
    await varve('import', image)
    const { code, stderr } = await varve('publish', image)
    assert.deepEqual([code, /ZFS/i.test(stderr)], [1, true], stderr)
  })

  it('says what is wrong with the token, the agent, or the lack of one', async () => {
    await writeFile(path('wrong'), 'another-token-0123456789\n')
    const wrong = { agent: { url: agent.url, tokenFile: path('wrong') } }
    await writeFile(path('wrong.yaml'), JSON.stringify(wrong))
    const refused = await runVarve(['images', '--config', path('wrong.yaml')])
    assert.deepEqual([refused.code, /does not know this token/.test(refused.stderr)], [4, true])
    const gone = await runVarve(['images', '--agent', 'https://127.0.0.1:1'])
    assert.deepEqual([gone.code, /127\.0\.0\.1:1 does not answer/.test(gone.stderr)], [6, true])
    const none = await runVarve(['imports', '--data', path('elsewhere')])
    assert.deepEqual([none.code, /Only an agent can do this/.test(none.stderr)], [6, true])
    const absent = await runVarve(['images', '--config', path('client.yaml'), '--pool', 'absent'])
    assert.deepEqual([absent.code, /no pool absent; it has directory/.test(absent.stderr)], [3, true])
  })

  it('prints the description of its interface', async () => {
    const { stdout } = await runVarve(['agent', 'openapi'])
    assert.ok('/v1/clones/{name}' in (JSON.parse(stdout) as { paths: object }).paths)
  })

  it('uses the agent on its socket for a pool that it has', async () => {
    const { code, stdout } = await runVarve(['imports', '--data', path('data'), '--pool', 'directory'])
    assert.deepEqual([code, /^ID /.test(stdout)], [0, true])
  })

  it('works on its own with a pool that the agent on its socket does not have', async () => {
    const { code, stderr } = await runVarve(['images', '--data', path('data'), '--pool', 'absentpool'])
    assert.notEqual(code, 0)
    assert.match(stderr, /absentpool|zfs/)
  })
})
