import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { createLogger } from '../../../src/log.ts'
import type { Digest, DigestAlgorithm } from '../../../src/storage/digest.ts'
import type { RepositoryName } from '../../../src/storage/reference.ts'
import { connectRaw } from '../../support/raw-http.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { type Answer, RegistryClient, withQuery } from '../../support/registry-client.ts'
import { cancelled, committed, gone, type Outcome, type UploadSystem, wrongDigest } from './system.ts'

/** Every Location that the client was given, the latest last. */
export type HttpSession = string[]

const partSizeBytes = 1024

/** A registry that several systems, one for each repository, use one after the other. */
export class RestartableRegistry {
  readonly directory: string
  #running: TestRegistry
  readonly #finished = new Map<string, () => void>()

  private constructor(directory: string, running: TestRegistry) {
    this.directory = directory
    this.#running = running
  }

  static async start(directory: string): Promise<RestartableRegistry> {
    const registry = new RestartableRegistry(directory, await startRegistry({ directory }))
    await registry.restart()
    return registry
  }

  get url(): string {
    return this.#running.url
  }

  async restart(): Promise<void> {
    await this.#running.stop()
    const write = (line: string) => this.#note(JSON.parse(line))
    this.#running = await startRegistry({
      directory: this.directory,
      settings: { partSizeBytes },
      uploadSecret: Buffer.from('the same for all'),
      log: createLogger({ level: 'info', destination: { write } }),
    })
  }

  stop(): Promise<void> {
    return this.#running.stop()
  }

  /** Resolves when the request of this id is over. Ask before you send it. */
  finished(requestId: string): Promise<void> {
    return new Promise(resolve => this.#finished.set(requestId, resolve))
  }

  #note({ level, requestId, message, error }: Record<string, unknown>): void {
    assert.notEqual(level, 'error', `the registry has failed: ${JSON.stringify(error)}`)
    if (message === 'request') this.#finished.get(String(requestId))?.()
  }
}

export class HttpUploadSystem implements UploadSystem<HttpSession> {
  readonly #registry: RestartableRegistry
  readonly #repository: RepositoryName

  constructor(registry: RestartableRegistry, repository: RepositoryName) {
    this.#registry = registry
    this.#repository = repository
  }

  async open(algorithm: DigestAlgorithm | undefined): Promise<HttpSession> {
    const hint = algorithm === undefined ? '' : `?digest-algorithm=${algorithm}`
    const answer = await this.#client.send('POST', `/v2/${this.#repository}/blobs/uploads/${hint}`)
    assert.equal(answer.status, 202)
    return [String(answer.headers['location'])]
  }

  async append(session: HttpSession, chunks: readonly Buffer[], at?: number): Promise<Outcome> {
    const body = Buffer.concat(chunks)
    const location = latest(session)
    const call =
      at === undefined
        ? { body: Readable.from(chunks.filter(chunk => chunk.length > 0)) }
        : { body, headers: { 'content-range': `${at}-${at + body.length - 1}` } }
    return outcomeOf(await this.#client.send('PATCH', location, call), session)
  }

  async replay(session: HttpSession, bytes: Buffer, age: number): Promise<Outcome> {
    const location = session.at(-1 - age)
    assert.ok(location)
    return outcomeOf(await this.#client.send('PATCH', location, { body: bytes }), session)
  }

  async breakOff(session: HttpSession, bytes: Buffer, sent: number): Promise<void> {
    const id = randomUUID()
    const finished = this.#registry.finished(id)
    const raw = await connectRaw(this.#registry.url)
    raw.socket.write(
      `PATCH ${latest(session)} HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\nContent-Length: ${bytes.length}\r\n\r\n`,
    )
    raw.socket.write(bytes.subarray(0, sent))
    raw.socket.end()
    await finished
    raw.socket.destroy()
    const answer = await this.#client.send('GET', latest(session))
    if (answer.status === 204) session.push(String(answer.headers['location']))
  }

  async race(session: HttpSession, one: Buffer, other: Buffer): Promise<readonly [Outcome, Outcome]> {
    const location = latest(session)
    const answers = await Promise.all(
      [one, other].map(body => this.#client.send('PATCH', location, { body })),
    )
    const [first, second] = answers.map(answer => outcomeOf(answer, session))
    assert.ok(first && second)
    return [first, second]
  }

  async status(session: HttpSession): Promise<Outcome> {
    // What is told here is not remembered: the Location that counts is that of the last change.
    return outcomeOf(await this.#client.send('GET', latest(session)), [])
  }

  async commit(session: HttpSession, digest: Digest, last?: { bytes: Buffer; at: number }): Promise<Outcome> {
    const call =
      last === undefined
        ? {}
        : {
            body: last.bytes,
            headers: { 'content-range': `${last.at}-${last.at + last.bytes.length - 1}` },
          }
    return outcomeOf(await this.#client.send('PUT', withQuery(latest(session), 'digest', digest), call), [])
  }

  async cancel(session: HttpSession): Promise<Outcome> {
    const answer = await this.#client.send('DELETE', latest(session))
    return answer.status === 204 ? cancelled : outcomeOf(answer, [])
  }

  async read(digest: Digest): Promise<Buffer | undefined> {
    const path = `/v2/${this.#repository}/blobs/${digest}`
    const [head, body] = [await this.#client.send('HEAD', path), await this.#client.send('GET', path)]
    assert.equal(head.status, body.status)
    if (body.status === 404) return undefined
    assert.deepEqual([body.status, head.headers['content-length']], [200, String(body.bytes.length)])
    return body.bytes
  }

  restart(): Promise<void> {
    return this.#registry.restart()
  }

  get #client(): RegistryClient {
    return new RegistryClient(this.#registry.url)
  }
}

function latest(session: HttpSession): string {
  return String(session.at(-1))
}

function outcomeOf({ status, headers, codes, bytes }: Answer, session: HttpSession): Outcome {
  const range = String(headers['range'])
  const [code] = codes
  if (status === 202) session.push(String(headers['location']))
  if (status === 202 || status === 204) return { kind: 'open', range }
  if (status === 201) return committed
  if (status === 416 && code === 'RANGE_INVALID') return { kind: 'moved', range }
  if (status === 404 && code === 'BLOB_UPLOAD_UNKNOWN') return gone
  if (status === 400 && code === 'DIGEST_INVALID') return wrongDigest
  return assert.fail(`an answer that no client expects: ${status} ${bytes.toString()}`)
}
