/**
 * What a zone provisioner does, with nothing but curl and the agent's OpenAPI page: it makes sure of an image of a private
 * registry, clones it, runs a program out of the clone, and destroys it. Once over the unix socket, once by TLS.
 */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts'
import { ImagePusher } from '../support/image-pusher.ts'
import { exec } from '../support/process.ts'
import { ensurePrograms, pathOf, skipWithout } from '../support/programs.ts'
import { selfSigned } from '../support/self-signed.ts'
import { dir, file, gzipOf, symlink, tar } from '../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { startVarveAgent, type VarveAgent } from '../support/varve-agent.ts'
import { createPool, type TestPool } from '../support/zfs.ts'

/** Bcrypt of `alice-pw`. */
const users = { alice: '$2y$05$abcdefghijklmnopqrstuujEI7PSP.y28xMPOv5lBoTSzRZgCP7le' }
const token = 'provisioner-0123456789abcdef'

/** What is on the page. */
interface Page {
  readonly paths: Record<string, Record<string, { readonly operationId: string }>>
}

interface Cloned {
  readonly dataset: string
  readonly mountpoint: string
  readonly rootfs: string
  readonly origin: string
  readonly chain: string
  readonly config: { readonly config: object }
  readonly run: {
    readonly args: readonly string[]
    readonly env: readonly string[]
    readonly cwd: string
    readonly user: { readonly uid: number; readonly gid: number }
  }
  readonly triton: { readonly payload: { readonly brand: string; readonly image_uuid: string } }
}

const skip = await skipWithout('curl', 'docker-registry', 'openssl', 'zfs')

describe('A provisioner with curl', { skip }, () => {
  const stack = new AsyncDisposableStack()
  let directory: TemporaryDirectory
  let pool: TestPool
  let registry: DockerRegistry
  let agent: VarveAgent

  before(async () => {
    await ensurePrograms('busybox')
    directory = stack.use(await temporaryDirectory())
    pool = await createPool()
    stack.defer(() => pool.destroy())
    registry = await privateRegistry(join(directory.path, 'registry'))
    stack.defer(() => registry.stop())
    agent = await startVarveAgent(['--config', await configFile()])
    stack.defer(async () => {
      await agent.stop()
    })
  })
  after(() => stack.disposeAsync())

  const path = (name: string): string => join(directory.path, name)

  async function configFile(): Promise<string> {
    const { cert, key } = await selfSigned()
    const secret = { mode: 0o600 }
    await writeFile(path('cert.pem'), cert)
    await writeFile(path('key.pem'), key, secret)
    await writeFile(path('tokens'), `${token}\n`, secret)
    await writeFile(path('team'), 'alice-pw\n', secret)
    await writeFile(path('wrong'), 'bob-pw\n', secret)
    const settings = {
      data: path('data'),
      importer: {
        pools: [pool.name, 'absentpool'],
        // The first one that fits is taken where a request names none.
        credentials: ['wrong', 'team'].map(name => ({
          name,
          registry: new URL(registry.url).host,
          repositories: ['team/**'],
          username: 'alice',
          passwordFile: path(name),
        })),
        agent: {
          address: '127.0.0.1:0',
          tlsCertificateFile: path('cert.pem'),
          tlsKeyFile: path('key.pem'),
          tokenFile: path('tokens'),
        },
      },
    }
    // JSON is YAML.
    await writeFile(path('varve.yaml'), JSON.stringify(settings))
    return path('varve.yaml')
  }

  const transports: Readonly<Record<string, () => { base: string; args: readonly string[] }>> = {
    'over the unix socket': () => ({
      base: 'http://agent',
      args: ['--unix-socket', agent.socket],
    }),
    'by TLS with a token': () => ({
      base: (agent.url ?? '').replace('127.0.0.1', 'localhost'),
      args: ['--cacert', path('cert.pem'), '--oauth2-bearer', token],
    }),
  }
  for (const [how, transportOf] of Object.entries(transports))
    it(`runs a program out of a clone ${how}`, { timeout: 180_000 }, async () => {
      const { base, args } = transportOf()
      const curl = async (...more: readonly string[]): Promise<string> =>
        await exec('curl', ['--silent', '--show-error', '--max-time', '120', ...args, ...more])
      const page = JSON.parse(await curl(`${base}/openapi.json`)) as Page
      const tag = how.includes('socket') ? 'socket' : 'tls'
      const image = `${new URL(registry.url).host}/team/app:${tag}`
      const name = `web-${tag}`
      const ask: Ask = async (operation, params, body) => {
        const { method, url } = urlOf(page, operation, params)
        const data = body === undefined ? [] : ['--data', JSON.stringify(body)]
        const answer = await curl('--request', method, '--write-out', '\n%{http_code}', ...data, base + url)
        const end = answer.lastIndexOf('\n')
        return [Number(answer.slice(end + 1)), answer.slice(0, end)]
      }

      const refused = await ask('clone.ensure', { name }, { image })
      assert.deepEqual([refused[0], /"code":"unauthorized"/.test(refused[1])], [403, true], refused[1])

      const wanted = { image, credentials: 'team', quota: 64 * 1024 ** 2 }
      const making = ask('clone.ensure', { name }, wanted)
      const followed = await ask('import.follow', { id: await importOf(ask, image, 'team') })
      const records = followed[1].trimEnd().split('\n')
      const types = records.map(line => (JSON.parse(line) as { type: string }).type)
      assert.deepEqual([types[0], types.at(-1)], ['resolved', 'done'], followed[1])
      const made = await making
      assert.equal(made[0], 200, made[1])
      const clone = JSON.parse(made[1]) as Cloned
      assert.equal(clone.dataset, `${pool.name}/varve/clones/${name}`)
      assert.match(clone.origin, new RegExp(`^${pool.name}/varve/chains/.*@`))
      assert.deepEqual(clone.run.user, { ...clone.run.user, uid: 1000, gid: 100 })
      assert.equal(clone.triton.payload.brand, 'lx')
      assert.equal(await runIn(clone), `hello from ${tag} in /srv as 1000:100, GREETING=hello\n`)

      const again = await ask('clone.ensure', { name }, wanted)
      assert.deepEqual([again[0], JSON.parse(again[1])], [200, clone])
      const listed = await ask('clone.list', {})
      assert.match(listed[1], new RegExp(`"${name}"`))

      assert.equal((await ask('clone.destroy', { name }))[0], 200)
      assert.equal((await ask('clone.get', { name }))[0], 404)
    })

  it('is told which pool is not there, and why', async () => {
    const ask = async (url: string): Promise<string> =>
      await exec('curl', ['--silent', '--write-out', ' %{http_code}', '--unix-socket', agent.socket, url])
    const ready = await ask('http://agent/readyz')
    assert.match(ready, new RegExp(`"${pool.name}":"ready","absentpool":"[^"]*absentpool.* 503$`, 's'))
    assert.match(await ask('http://agent/v1/clones?pool=absentpool'), /not open.* 503$/s)
    assert.match(await ask('http://agent/v1/clones?pool=other'), /it has .*, absentpool.* 404$/s)
  })

  it('is not answered by TLS without a token, and nothing that was logged is a secret', async () => {
    const { base, args } = transports['by TLS with a token']?.() ?? { base: '', args: [] }
    const status = await exec('curl', [
      ...['--silent', '--output', '/dev/null', '--write-out', '%{http_code}'],
      ...args.slice(0, 2),
      `${base}/v1`,
    ])
    assert.equal(status, '401')
    for (const secret of [token, 'alice-pw', 'bob-pw']) assert.ok(!agent.log().includes(secret))
  })
})

type Ask = (operation: string, params: object, body?: object) => Promise<[number, string]>

/** The import that a request for a clone has begun, or is about to. */
async function importOf(ask: Ask, image: string, credentials: string): Promise<string> {
  for (;;) {
    const jobs = JSON.parse((await ask('import.list', {}))[1]) as Record<
      'id' | 'image' | 'credentials',
      string
    >[]
    const job = jobs.find(one => one.image === image && one.credentials === credentials)
    if (job !== undefined) return job.id
  }
}

/** A registry that lets alice in, with an image for each of the two runs. */
async function privateRegistry(directory: string): Promise<DockerRegistry> {
  const open = await startDockerRegistry(directory)
  const pusher = new ImagePusher(open.url)
  const busybox = await readFile((await pathOf('busybox')) ?? '')
  const base = tar(
    dir('bin'),
    file('bin/busybox', busybox, { mode: 0o755 }),
    symlink('bin/sh', 'busybox'),
    dir('etc'),
    file('etc/passwd', 'root:x:0:0::/:/bin/sh\nweb:x:1000:100::/srv:/bin/sh\n'),
    dir('srv'),
  )
  for (const tag of ['socket', 'tls']) {
    const layers = [base, tar(file('etc/tag', `${tag}\n`))]
    const script =
      'echo "hello from $(busybox cat /etc/tag) in $(pwd) as $(busybox id -u):$(busybox id -g), GREETING=$GREETING"'
    const config = {
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: layers.map(layer => digestOf(layer)) },
      config: {
        Entrypoint: ['/bin/sh', '-c'],
        Cmd: [script],
        Env: ['PATH=/bin', 'GREETING=hello'],
        WorkingDir: '/srv',
        User: 'web',
      },
    }
    await pusher.image('team/app', tag, {
      layers: layers.map(layer => gzipOf(layer)),
      config: Buffer.from(JSON.stringify(config)),
    })
  }
  await open.stop()
  return await startDockerRegistry(directory, { users })
}

/** Method and path of an operation, as the page has it. */
function urlOf(page: Page, operation: string, params: object): { method: string; url: string } {
  for (const [template, methods] of Object.entries(page.paths))
    for (const [method, { operationId }] of Object.entries(methods))
      if (operationId === operation) {
        const url = template.replace(/\{(\w+)\}/g, (_, name: string) =>
          encodeURIComponent(String(new Map(Object.entries(params)).get(name))),
        )
        return { method: method.toUpperCase(), url }
      }
  throw new Error(`the page has no operation ${operation}`)
}

/** Runs what the image says, as the answer says it. */
async function runIn({ rootfs, run: { args, env, cwd, user } }: Cloned): Promise<string> {
  const chroot = (await pathOf('chroot')) ?? ''
  const inside = ['/bin/busybox', 'sh', '-c', 'cd "$0" && exec "$@"', cwd, ...args]
  return await exec('env', ['-i', ...env, chroot, `--userspec=${user.uid}:${user.gid}`, rootfs, ...inside])
}
