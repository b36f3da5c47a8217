import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import type { InspectedImage } from '../../src/importer/import-service.ts'
import type { LayerReport } from '../../src/importer/layer/apply-layer.ts'
import { version } from '../../src/version.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { characterDevice, dir, file, tar, whiteout } from '../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { pushTestImage } from '../support/test-images.ts'
import { type RunningVarve, startVarve, varveProgram } from '../support/varve.ts'

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function varve(...args: readonly string[]): Promise<Outcome> {
  return await run(varveProgram, args)
}

async function run(program: string, args: readonly string[]): Promise<Outcome> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr }
}

describe('varve', () => {
  it('prints its version, which is that of the package', async () => {
    const { version: packaged } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    assert.equal(version, packaged)
    assert.deepEqual(await varve('--version'), { code: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('lists its commands, what they do, and the exit codes', async () => {
    const { code, stdout } = await varve('--help')
    assert.equal(code, 0)
    for (const word of [
      'serve',
      'agent',
      'up',
      'import',
      'images',
      'inspect',
      'rmi',
      'clone',
      'clones',
      'rm',
      'Exit codes',
      'Examples',
    ])
      assert.match(stdout, new RegExp(`\\b${word}\\b`))
  })

  for (const [what, args, code, words] of [
    ['an unknown command', ['imprt'], 2, /unknown command 'imprt'/],
    ['an unknown flag', ['images', '--jsn'], 2, /unknown option '--jsn'.*\n?.*--json/],
    ['a missing argument', ['import'], 2, /missing required argument 'image'/],
    ['a bad address', ['serve', '--address', 'nowhere'], 2, /not an address to listen on; write host:port/],
    [
      'an absent configuration file',
      ['images', '--config', '/absent.yaml'],
      2,
      /absent\.yaml does not exist/,
    ],
    ['a bad quota', ['clone', 'a', 'b', '--quota', 'lots'], 2, /whole number of bytes/],
    [
      'an agent that does not answer',
      ['images', '--socket', '/absent.sock'],
      6,
      /absent\.sock does not answer; `varve agent` starts one/,
    ],
  ] as const)
    it(`exits with ${code} for ${what}, in one sentence`, async () => {
      const outcome = await varve(...args)
      assert.equal(outcome.code, code)
      assert.match(outcome.stderr, words)
      assert.equal(outcome.stdout, '')
      assert.doesNotMatch(outcome.stderr, /\n\s+at /)
    })

  it('prints every setting and where it came from', async () => {
    const { stdout } = await varve('config', 'check', '--json', '--address', '127.0.0.1:1')
    const settings = JSON.parse(stdout) as { key: string; value: unknown; source: string }[]
    const address = settings.find(({ key }) => key === 'registry.address')
    assert.deepEqual([address?.value, address?.source], ['127.0.0.1:1', 'flag'])
  })
})

const skip = process.getuid?.() === 0 ? false : 'chains need root'

describe('varve with a running agent', { skip }, () => {
  let directory: TemporaryDirectory
  let running: RunningVarve
  let image = ''

  before(async () => {
    directory = await temporaryDirectory()
    running = await startVarve(['--data', join(directory.path, 'data')])
    image = `${running.registry}/team/app:1`
    const client = new RegistryClient(`http://${running.registry}`)
    await pushTestImage(client, 'team/app', '1', { layers: [tar(dir('etc'), file('etc/motd', 'hello'))] })
  })
  after(async () => {
    await running.stop()
    await directory.remove()
  })

  it('imports with one JSON record per line, and says when there is nothing to do', async () => {
    const first = records(await running.run('import', image))
    assert.deepEqual(
      [first[0]?.['type'], first.at(-1)?.['type'], first.at(-1)?.['imported']],
      ['resolved', 'done', 1],
    )
    assert.equal(records(await running.run('import', image)).at(-1)?.['imported'], 0)
  })

  it('shows bars on a terminal', async () => {
    const command = `${varveProgram} import --socket ${running.socket} ${image}`
    const { code, stdout } = await run('script', ['--quiet', '--return', '--command', command, '/dev/null'])
    assert.equal(code, 0)
    assert.match(stdout, /1 layer, 1 there already/)
    assert.match(stdout, /up to date; nothing to do/)
    assert.doesNotMatch(stdout, /"type"/)
  })

  it('clones, lists and destroys', async () => {
    await running.run('import', image)
    const clone = JSON.parse(await running.run('clone', '--json', image, 'web1')) as { rootfs: string }
    assert.equal(readFileSync(join(clone.rootfs, 'etc/motd'), 'utf8'), 'hello')
    assert.match(await running.run('images'), new RegExp(`^IMAGE .*\n${image} `))
    assert.match(await running.run('clones'), /^NAME .*\nweb1 /)
    assert.deepEqual(
      (JSON.parse(await running.run('clones', '--json')) as { name: string }[]).map(({ name }) => name),
      ['web1'],
    )
    assert.equal(await running.run('rm', 'web1'), 'destroyed web1\n')
    assert.equal(existsSync(clone.rootfs), false)
  })

  it('shows an image and what applying its layers did, through the agent', async () => {
    const layers = [tar(dir('dev'), characterDevice('dev/null')), tar(file('a', 'x'), whiteout('dev/null'))]
    const odd = `${running.registry}/team/odd:1`
    await pushTestImage(new RegistryClient(`http://${running.registry}`), 'team/odd', '1', { layers })
    const done = records(await running.run('import', odd)).filter(({ type }) => type === 'layer-done')
    assert.equal((done[0]?.['report'] as LayerReport | undefined)?.skippedDevices, 1)
    const json = JSON.parse(await running.run('inspect', '--json', odd)) as InspectedImage
    assert.deepEqual(json.names, [odd])
    assert.deepEqual(
      json.layers.map(({ applied }) => [
        applied?.entries,
        applied?.notes?.skippedDevices,
        applied?.notes?.whiteouts,
      ]),
      [
        [2, 1, 0],
        [2, 0, 1],
      ],
    )
    const shown = await running.run('inspect', odd)
    assert.match(shown, /^command +\["\/bin\/sh"\]$/m)
    assert.match(shown, /^layer 0: device-skipped: 1 \(.*dev\/null.*\)$/m)
    await running.run('rmi', odd)
    const command = `${varveProgram} import --socket ${running.socket} ${odd}`
    const { stdout } = await run('script', ['--quiet', '--return', '--command', command, '/dev/null'])
    assert.match(stdout, /warning: layer 0: device-skipped: 1/)
  })

  it('exits with 3 for what is not there, and says how to get it', async () => {
    const { code, stderr } = await varve(
      'clone',
      '--socket',
      running.socket,
      `${running.registry}/absent`,
      'x',
    )
    assert.equal(code, 3)
    assert.match(stderr, /has not been imported here; `varve images` lists what has/)
    assert.equal((await varve('rm', '--socket', running.socket, 'absent')).code, 3)
    assert.equal((await varve('inspect', '--socket', running.socket, 'absent')).code, 3)
    assert.equal((await varve('import', '--socket', running.socket, `${running.registry}/absent`)).code, 3)
  })

  it('keeps its data to its own user', () => {
    for (const path of ['data', 'data/registry', 'data/chains'])
      assert.equal(statSync(join(directory.path, path)).mode & 0o077, 0, path)
  })
})

describe('varve without an agent', { skip }, () => {
  it('works on a directory, and says so', async () => {
    await using directory = await temporaryDirectory()
    const { code, stdout, stderr } = await varve('images', '--json', '--data', directory.path)
    assert.deepEqual([code, stdout], [0, '[]\n'])
    assert.match(stderr, /no agent listens on .*; using directories below/)
  })

  it('names a pool that does not exist, and makes nothing', async () => {
    await using directory = await temporaryDirectory()
    const { code, stderr } = await varve(
      'import',
      '--pool',
      'absentpool',
      '--data',
      directory.path,
      'localhost:1/a',
    )
    assert.ok(code === 3 || code === 6, String(code))
    assert.match(stderr, /absentpool|zfs/)
    assert.doesNotMatch(stderr, /\n\s+at /)
    assert.deepEqual(readdirSync(directory.path), [])
  })
})

describe('varve up', { skip }, () => {
  it('stops on Ctrl-C with 0 and without its socket', async () => {
    await using directory = await temporaryDirectory()
    const running = await startVarve(['--data', directory.path])
    assert.equal(await running.stop(), 0)
    assert.equal(existsSync(running.socket), false)
  })

  it('says which address is taken', async () => {
    await using directory = await temporaryDirectory()
    const running = await startVarve(['--data', directory.path])
    const { code, stderr } = await varve(
      'serve',
      '--data',
      join(directory.path, 'b'),
      '--address',
      running.registry,
    )
    assert.equal(code, 6)
    assert.match(stderr, new RegExp(`Cannot listen on ${running.registry}`))
    await running.stop()
  })
})

function records(output: string): Record<string, unknown>[] {
  return output
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
}
