/** What a stranger's image and registry say, as it reaches the terminal of whoever imports it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { type Script, serveScript } from '../support/scripted-server.ts'
import { type ServedImage, servedImage } from '../support/served-image.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { varveProgram } from '../support/varve.ts'

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function varve(args: readonly string[], program = varveProgram): Promise<Outcome> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr }
}

const serving =
  (image: ServedImage): Script =>
  ({ path }, response) => {
    const bytes = image.content.get(path)
    response.statusCode = bytes === undefined ? 404 : 200
    response.end(bytes ?? JSON.stringify({ errors: [{ code: 'X', message: '\x9b2J\x1b[31m' }] }))
  }

const acting = /[\0-\x09\x0b-\x1f\x7f-\x9f]/u
const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

describe('varve and a hostile image', { skip }, () => {
  for (const [what, image, code, words] of [
    [
      'another platform with escape sequences',
      servedImage({ config: { os: 'linux', architecture: '\x1b]0;gone\x07\x9b2J' } }),
      3,
      /it has: linux\/\\u001b\]0;gone\\u0007\\u009b2J/,
    ],
    ['a config of 20,000 brackets', nested(20_000), 1, /its config is nested more than 100 deep/],
    ['a layer that claims to be endless', servedImage({ layerSize: 2 ** 52 }), 1, /its blob is said to have/],
    ['a layer that is longer than it claims', servedImage({ layerSize: 10 }), 1, /more than the 10 bytes/],
    [
      'a layer that is shorter than it claims',
      servedImage({ layerSize: 9999 }),
      1,
      /where 9999 were promised/,
    ],
    [
      'a config without diff IDs',
      servedImage({ config: { rootfs: {} } }),
      1,
      /not that of a container image/,
    ],
    [
      'a config with environment that is no text',
      servedImage({ config: { config: { Env: [1] } } }),
      1,
      /config.Env.0/,
    ],
  ] as const)
    it(`refuses ${what} with one printable sentence`, async () => {
      await using registry = await serveScript(serving(image))
      await using directory = await temporaryDirectory()
      const chains = join(directory.path, 'chains')
      const outcome = await varve(['import', '--chains', chains, `${registry.host}/a:1`])
      assert.equal(outcome.code, code, outcome.stderr)
      assert.match(outcome.stderr, words)
      assert.doesNotMatch(outcome.stderr + outcome.stdout, acting)
      assert.doesNotMatch(outcome.stderr, /\n\s+at /)
    })

  it('names the registry that breaks off in a layer, and is not called a bug', async () => {
    const image = servedImage()
    await using registry = await serveScript((request, response) => {
      if (request.path !== `/v2/a/blobs/${image.layerDigest}`) return serving(image)(request, response)
      response.writeHead(200, { 'content-length': image.layer.length })
      response.write(image.layer.subarray(0, 20), () => response.destroy())
    })
    await using directory = await temporaryDirectory()
    const outcome = await varve(['import', '--chains', join(directory.path, 'c'), `${registry.host}/a:1`])
    assert.equal(outcome.code, 6)
    assert.match(outcome.stderr, /^varve: The registry 127\.0\.0\.1:\d+ broke off its answer .*\n$/)
  })

  it('hands a config on as data, whatever is in it', async () => {
    const Env = ['PATH=/bin', `BIG=${'x'.repeat(1024 * 1024)}`, 'NUL=\0', 'CSI=\x9b2J']
    const config = {
      config: { Env, Cmd: ['/bin/sh', '\x1b[2J'] },
      __proto__x: 1,
      constructor: { prototype: 1 },
    }
    await using registry = await serveScript(serving(servedImage({ config })))
    await using directory = await temporaryDirectory()
    const where = ['--chains', join(directory.path, 'chains')]
    const image = `${registry.host}/a:1`
    assert.equal((await varve(['import', ...where, image])).code, 0)
    const { code, stdout } = await varve(['clone', '--json', ...where, image, 'web1'])
    assert.equal(code, 0)
    assert.doesNotMatch(stdout, acting)
    const clone = JSON.parse(stdout) as { process: unknown; config: Record<string, unknown> }
    assert.deepEqual(clone.process, config.config)
    assert.deepEqual(clone.config['constructor'], { prototype: 1 })
  })

  it('ends in order when nobody reads its output to the end', async () => {
    await using registry = await serveScript(serving(servedImage()))
    await using directory = await temporaryDirectory()
    const command = `${varveProgram} import --chains ${directory.path}/chains ${registry.host}/a:1 | true; exit "\${PIPESTATUS[0]}"`
    const { code, stderr } = await varve(['-c', command], 'bash')
    assert.deepEqual([code, stderr], [0, ''])
  })

  it('lists with few file descriptors, and passes over what is no clone', async () => {
    await using directory = await temporaryDirectory()
    const chains = join(directory.path, 'chains')
    const where = ['--chains', chains]
    assert.equal((await varve(['clones', ...where])).code, 0)
    await mkdir(join(chains, 'clones/lost+found'))
    const chain = `sha256:${'0'.repeat(64)}`
    for (let index = 0; index < 400; index += 1) {
      const clone = join(chains, 'clones', `zone${index}`)
      await mkdir(clone)
      await writeFile(join(clone, 'clone.json'), JSON.stringify({ chain, createdAt: new Date() }))
    }
    const command = `ulimit -n 128; exec ${varveProgram} clones --chains ${chains}`
    const { code, stdout, stderr } = await varve(['-c', command], 'bash')
    assert.equal(code, 0, stderr)
    assert.equal(stdout.trimEnd().split('\n').length, 401)
  })
})

function nested(depth: number): ServedImage {
  const deep = '['.repeat(depth) + ']'.repeat(depth)
  return servedImage({ rewriteConfig: json => `{"deep":${deep},${json.slice(1)}` })
}
