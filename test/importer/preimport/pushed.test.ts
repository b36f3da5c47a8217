import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { freePort } from '../../support/free-port.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { runVarve } from '../../support/run-varve.ts'
import { serveScript } from '../../support/scripted-server.ts'
import { type ServedRegistry, serveRegistry } from '../../support/served-registry.ts'
import { dir, file, tar } from '../../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { pushTestImage } from '../../support/test-images.ts'
import { varveProgram } from '../../support/varve.ts'

type Line = Record<string, unknown>

/** `varve agent` as a process of its own, whose log lines can be waited for. */
class AgentProcess {
  readonly #process: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #lines: Line[] = []
  readonly #looking = new Set<() => void>()

  constructor(config: string) {
    this.#process = spawn(varveProgram, ['agent', '--config', config], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#ended = once(this.#process, 'exit')
    const { stdout } = this.#process
    assert.ok(stdout)
    createInterface({ input: stdout }).on('line', line => {
      if (line.endsWith('}')) this.#lines.push(JSON.parse(line) as Line)
      for (const look of this.#looking) look()
    })
  }

  find(fits: (line: Line) => boolean): Promise<Line> {
    const { promise, resolve } = Promise.withResolvers<Line>()
    const look = (): void => {
      const line = this.#lines.find(fits)
      if (line !== undefined) resolve(line)
    }
    this.#looking.add(look)
    look()
    return promise
  }

  async imported(image: string): Promise<void> {
    await this.find(line => line['message'] === 'a pushed image was imported' && line['image'] === image)
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#process.kill(signal)
    await this.#ended
  }
}

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

describe('What is pushed to a registry', { skip }, () => {
  let directory: TemporaryDirectory
  let registry: ServedRegistry
  let addresses: readonly string[] = []
  beforeEach(async () => {
    directory = await temporaryDirectory()
    addresses = [
      '--address',
      `127.0.0.1:${await freePort()}`,
      '--metrics-address',
      `127.0.0.1:${await freePort()}`,
    ]
    registry = await startRegistry()
  })
  afterEach(async () => {
    await registry[Symbol.asyncDispose]()
    await directory.remove()
  })

  const startRegistry = () => serveRegistry(join(directory.path, 'registry'), ...addresses)
  const push = (tag: string, content: string) =>
    pushTestImage(new RegistryClient(registry.url), 'team/app', tag, {
      layers: [tar(dir('etc'), file('etc/name', content))],
    })

  /** @param host that images are pulled from. */
  async function configFor(host: string): Promise<string> {
    const path = join(directory.path, 'varve.yaml')
    const rule = {
      name: 'ours',
      events: `${registry.debugUrl}/events`,
      registry: host,
      repositories: ['team/*'],
    }
    const config = {
      data: join(directory.path, 'agent'),
      importer: { preimport: [rule] },
    }
    await writeFile(path, JSON.stringify(config))
    return path
  }
  async function imageNames(config: string): Promise<string[]> {
    const { stdout } = await runVarve(['images', '--json', '--config', config])
    return (JSON.parse(stdout) as { names: string[] }[]).flatMap(({ names }) => names).sort()
  }

  it('is there without anybody asking, also after the registry was away', async () => {
    const { host } = new URL(registry.url)
    const config = await configFor(host)
    const agent = new AgentProcess(config)
    try {
      await agent.find(({ message }) => message === 'pushed images are followed')
      await push('1', 'one')
      await agent.imported(`${host}/team/app:1`)
      await registry.stop()
      await agent.find(({ message }) => message === 'events are not read now')
      registry = await startRegistry()
      await push('2', 'two')
      await agent.imported(`${host}/team/app:2`)
      assert.deepEqual(await imageNames(config), [`${host}/team/app:1`, `${host}/team/app:2`])
    } finally {
      await agent.end('SIGTERM')
    }
  })

  it('is there after the agent was killed in the middle of importing it', async () => {
    const reached = Promise.withResolvers<void>()
    let isHeld = true
    // Holds what is pulled, and sends on what is asked for later.
    await using gate = await serveScript(({ path }, response) => {
      if (isHeld) reached.resolve()
      else response.writeHead(307, { location: `${registry.url}${path}` }).end()
    })
    const config = await configFor(gate.host)
    const killed = new AgentProcess(config)
    await killed.find(({ message }) => message === 'pushed images are followed')
    await push('1', 'one')
    await reached.promise
    await push('2', 'two')
    await killed.end('SIGKILL')
    await push('3', 'three')
    isHeld = false
    const agent = new AgentProcess(config)
    try {
      const names = ['1', '2', '3'].map(tag => `${gate.host}/team/app:${tag}`)
      await Promise.all(names.map(name => agent.imported(name)))
      assert.deepEqual(await imageNames(config), names)
    } finally {
      await agent.end('SIGTERM')
    }
  })
})
