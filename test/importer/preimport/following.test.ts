import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import type { PreimportJobs } from '../../../src/importer/preimport/import-pushed.ts'
import type { PreimportRule } from '../../../src/importer/preimport/preimport-rule.ts'
import { startPreimport } from '../../../src/importer/preimport/start-preimport.ts'
import type { FinalRecord } from '../../../src/importer/jobs/job-records.ts'
import { defaultPlatform, parsePlatform } from '../../../src/storage/platform.ts'
import { type KeptLog, keepLog } from '../../support/log-lines.ts'
import { type ScriptedServer, serveScript } from '../../support/scripted-server.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const registry = 'r.example:5000'

/** A stream of pushes, as docs/events.md says, whose events a test makes up. */
class Pushes implements AsyncDisposable {
  readonly lines: string[] = []
  oldest = 1
  /** Every answer is cut when it has brought something. */
  cuts = false
  /** Answered instead. */
  status: number | undefined
  readonly #waiting = new Set<() => void>()
  #server: ScriptedServer | undefined

  static async serve(): Promise<Pushes> {
    const pushes = new Pushes()
    pushes.#server = await serveScript(({ query }, response) => pushes.#answer(query, response))
    return pushes
  }

  get url(): string {
    return `http://${this.#server?.host ?? ''}/events`
  }

  get seen(): readonly URLSearchParams[] {
    return this.#server?.seen.map(({ query }) => query) ?? []
  }

  /** @returns its position. */
  push(name: string, tag: string, more: object = {}): number {
    const position = this.oldest + this.lines.length
    const event = { position, kind: 'tag', action: 'tag', repository: name, tag, ...more }
    this.line(JSON.stringify(event))
    return position
  }

  line(text: string): void {
    this.lines.push(text)
    for (const wake of this.#waiting) wake()
  }

  #answer(query: URLSearchParams, response: ServerResponse): void {
    const newest = this.oldest + this.lines.length - 1
    const wanted = query.get('after')
    const after = wanted === 'latest' ? newest : Number(wanted ?? this.oldest - 1)
    if (this.status !== undefined) return void response.writeHead(this.status).end()
    if (after > newest || after < this.oldest - 1) {
      const errors = [{ code: 'RANGE_INVALID', detail: { name: String(this.oldest) } }]
      return void response.writeHead(410).end(JSON.stringify({ errors }))
    }
    response.writeHead(200, { 'varve-events-after': after })
    let sent = after - this.oldest + 1
    const send = (): void => {
      if (sent === this.lines.length) return
      const lines = this.lines
        .slice(sent)
        .map(line => `${line}\n`)
        .join('')
      if (this.cuts) response.write(lines, () => response.destroy())
      else response.end(lines)
      sent = this.lines.length
      this.#waiting.delete(send)
    }
    if (query.get('wait') === '0') {
      response.end(
        this.lines
          .slice(sent, sent + 1)
          .map(line => `${line}\n`)
          .join(''),
      )
      return
    }
    this.#waiting.add(send)
    response.on('close', () => this.#waiting.delete(send))
    send()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
  }
}

interface Asked {
  readonly image: string
  readonly platform: string
  readonly priority: number
  readonly credentials: string | undefined
  end(code?: string): void
}

/** Jobs that end when a test says so. */
class Jobs implements PreimportJobs {
  readonly asked: Asked[] = []
  /** The next one is an import that began before it was asked for. */
  joined = false
  refusal: DomainError | undefined
  readonly #waiting: { readonly count: number; readonly arrived: () => void }[] = []

  ensure(
    { image, platform, credentials }: Parameters<PreimportJobs['ensure']>[0],
    { priority }: { priority: number },
  ) {
    if (this.refusal !== undefined) throw this.refusal
    const final = Promise.withResolvers<FinalRecord>()
    const end = (code?: string): void =>
      final.resolve(
        (code === undefined
          ? { type: 'done' }
          : { type: 'error', error: { code, message: code } }) as FinalRecord,
      )
    const startedAt = this.joined ? new Date(0) : undefined
    this.joined = false
    this.asked.push({ image, platform: platform.architecture, priority, credentials, end })
    for (const { count, arrived } of this.#waiting) if (this.asked.length >= count) arrived()
    return {
      summary: () => ({ startedAt }) as ReturnType<ReturnType<PreimportJobs['ensure']>['summary']>,
      ended: ({ signal }: { signal?: AbortSignal | undefined } = {}) =>
        new Promise<FinalRecord>((resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
          void final.promise.then(resolve)
        }),
    }
  }

  /** When so many have been asked for in all; answers the last of them. */
  async nth(count: number): Promise<Asked> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push({ count, arrived: resolve })
    if (this.asked.length >= count) resolve()
    await promise
    return this.asked[count - 1] ?? assert.fail()
  }
}

describe('Following what is pushed', () => {
  let directory: TemporaryDirectory
  let pushes: Pushes
  let jobs: Jobs
  let kept: KeptLog
  beforeEach(async () => {
    directory = await temporaryDirectory()
    pushes = await Pushes.serve()
    jobs = new Jobs()
    kept = keepLog()
  })
  afterEach(async () => {
    await pushes[Symbol.asyncDispose]()
    await directory.remove()
  })

  function start(rule: Partial<PreimportRule> = {}): AsyncDisposable {
    return startPreimport({
      rules: [
        {
          name: 'ours',
          events: pushes.url,
          registry,
          repositories: ['team/**'],
          tags: ['**'],
          platforms: [defaultPlatform],
          priority: -10,
          fromBeginning: false,
          ...rule,
        },
      ],
      placeOf: () => ({ jobs, recordsDirectory: directory.path }),
      log: kept.log,
      maxBackoffMs: 10,
      retryMs: 10,
    })
  }
  const logged = (message: string, nth = 1) =>
    kept.find(
      line =>
        line['message'] === message &&
        kept.lines().filter(other => other['message'] === message).length >= nth,
    )
  const followed = (nth = 1) => logged('pushed images are followed', nth)
  const saved = async (): Promise<number> =>
    JSON.parse(await readFile(join(directory.path, 'preimport/ours.json'), 'utf8')).position
  /** It is written soon after. */
  async function savedAs(position: number): Promise<void> {
    while ((await saved()) !== position) await new Promise(resolve => setImmediate(resolve))
  }

  it('begins with what happens from now on, and imports what the rule wants', async () => {
    pushes.push('team/old', '1')
    await using _preimport = start({
      credentials: 'team',
      platforms: [defaultPlatform, parsePlatform('linux/arm64')],
    })
    await followed()
    pushes.push('other/app', '1')
    pushes.push('team/app', '1', { action: 'delete' })
    pushes.push('team/app', '2')
    const amd = await jobs.nth(1)
    assert.deepEqual(
      [amd.image, amd.platform, amd.priority, amd.credentials],
      ['r.example:5000/team/app:2', 'amd64', -10, 'team'],
    )
    amd.end()
    const arm = await jobs.nth(2)
    assert.deepEqual([arm.image, arm.platform], ['r.example:5000/team/app:2', 'arm64'])
    assert.equal(await saved(), 1)
    arm.end()
    await logged('a pushed image was imported', 2)
    await savedAs(4)
  })

  it('begins with the oldest event when told so', async () => {
    pushes.oldest = 40
    pushes.push('team/old', '1')
    await using _preimport = start({ fromBeginning: true })
    assert.equal((await jobs.nth(1)).image, 'r.example:5000/team/old:1')
    assert.equal(await saved(), 39)
  })

  it('goes on where it was, also when it ended before an import did', async () => {
    {
      await using _preimport = start()
      await followed()
      for (const tag of ['1', '2']) pushes.push('team/app', tag)
      const second = await jobs.nth(2)
      second.end()
      await logged('a pushed image was imported')
    }
    assert.equal(await saved(), 0)
    pushes.push('team/app', '3')
    await using _preimport = start()
    await jobs.nth(5)
    assert.deepEqual(
      jobs.asked.slice(2).map(({ image }) => image),
      ['1', '2', '3'].map(tag => `r.example:5000/team/app:${tag}`),
    )
    for (const job of jobs.asked) job.end()
    await savedAs(3)
  })

  it('makes one more import of all pushes of a tag that come while it is imported', async () => {
    await using _preimport = start()
    await followed()
    pushes.push('team/app', '1')
    const first = await jobs.nth(1)
    for (let again = 0; again < 5; again += 1) pushes.push('team/app', '1')
    pushes.push('team/other', '1')
    ;(await jobs.nth(2)).end()
    await logged('a pushed image was imported')
    assert.equal(await saved(), 0)
    first.end()
    const last = await jobs.nth(3)
    assert.equal(last.image, 'r.example:5000/team/app:1')
    last.end()
    await savedAs(7)
    assert.equal(jobs.asked.length, 3)
  })

  it('asks again after an import that had begun before it was asked for', async () => {
    await using _preimport = start()
    await followed()
    jobs.joined = true
    pushes.push('team/app', '1')
    ;(await jobs.nth(1)).end('not_found')
    ;(await jobs.nth(2)).end()
    await savedAs(1)
    assert.equal(jobs.asked.length, 2)
  })

  for (const code of ['unavailable', 'busy', 'no_space'])
    it(`tries again what failed with ${code}, for ever`, async () => {
      await using _preimport = start()
      await followed()
      pushes.push('team/app', '1')
      for (let nth = 1; nth < 5; nth += 1) (await jobs.nth(nth)).end(code)
      ;(await jobs.nth(5)).end()
      await savedAs(1)
    })

  for (const [code, words] of [
    ['not_found', 'a pushed image is not there any more'],
    ['denied', 'a pushed image cannot be imported'],
    ['digest_mismatch', 'a pushed image cannot be imported'],
    ['internal', 'a pushed image cannot be imported'],
    ['conflict', 'a pushed image cannot be imported'],
  ] as const)
    it(`gives up what failed with ${code}, and says so`, async () => {
      await using _preimport = start()
      await followed()
      pushes.push('team/app', '1')
      ;(await jobs.nth(1)).end(code)
      assert.equal((await logged(words))['image'], 'r.example:5000/team/app:1')
      await savedAs(1)
    })

  it('waits for a pool that is not open, and for jobs that take no more', async () => {
    await using _preimport = start()
    await followed()
    jobs.refusal = new DomainError('unavailable', 'The pool tank is not open.', { resource: 'pool' })
    pushes.push('team/app', '1')
    await logged('a pushed image is not imported yet, and is tried again', 3)
    jobs.refusal = undefined
    ;(await jobs.nth(1)).end()
    await savedAs(1)
  })

  it('goes on at the oldest event when those that come next are gone', async () => {
    {
      await using _preimport = start()
      await followed()
    }
    pushes.oldest = 100
    pushes.push('team/app', '1')
    await using _preimport = start()
    assert.equal((await logged('events are gone; going on at the oldest'))['oldest'], 100)
    ;(await jobs.nth(1)).end()
    await savedAs(100)
  })

  it('goes on at the oldest event when the registry has fewer than before', async () => {
    for (let index = 0; index < 5; index += 1) pushes.push('team/app', '1')
    {
      await using _preimport = start()
      await followed()
    }
    pushes.lines.length = 0
    pushes.push('team/app', '2')
    await using _preimport = start()
    ;(await jobs.nth(1)).end()
    await savedAs(1)
  })

  it('skips what makes no sense, and says so', async () => {
    await using _preimport = start()
    await followed()
    for (const line of ['<html>', '{"position":2,"kind":"tag","action":"tag","repository":"../x","tag":"1"}'])
      pushes.line(line)
    pushes.push('team/app', '1')
    ;(await jobs.nth(1)).end()
    await savedAs(3)
    await logged('events make no sense')
  })

  it('is not led astray by positions that come again', async () => {
    await using _preimport = start()
    await followed()
    pushes.push('team/app', '1')
    ;(await jobs.nth(1)).end()
    await savedAs(1)
    pushes.push('team/app', '1', { position: 1 })
    pushes.push('team/app', '2')
    ;(await jobs.nth(2)).end()
    await savedAs(3)
    assert.equal(jobs.asked[1]?.image, 'r.example:5000/team/app:2')
  })

  for (const status of [401, 403, 404, 500, 503, 302])
    it(`tries for ever to read a stream that answers ${status}`, async () => {
      pushes.status = status
      await using _preimport = start()
      const { failures } = await logged('events are not read now', 3)
      assert.ok(Number(failures) >= 1)
      pushes.status = undefined
      await followed()
      pushes.push('team/app', '1')
      ;(await jobs.nth(1)).end()
      await savedAs(1)
    })

  it('begins to count failures anew when an answer that was cut has brought something', async () => {
    pushes.cuts = true
    await using _preimport = start()
    await followed()
    for (const nth of [1, 2, 3]) {
      pushes.push('team/app', String(nth))
      await logged('events are not read now', nth)
    }
    const failures = kept.lines().flatMap(line => line['failures'] ?? [])
    assert.deepEqual(failures, [1, 1, 1])
  })

  it('takes no position of another stream, nor of a document that is damaged', async () => {
    {
      await using _preimport = start()
      await followed()
    }
    const path = join(directory.path, 'preimport/ours.json')
    for (const [nth, document] of [
      [2, JSON.stringify({ version: 1, events: 'http://other/events', position: 1000 })],
      [3, '{"version":1,'],
      [4, ''],
    ] as const) {
      await writeFile(path, document)
      await using _preimport = start()
      assert.equal((await followed(nth))['level'], 'info')
      assert.equal(kept.lines().filter(({ isNew }) => isNew === true).length, nth)
    }
    assert.deepEqual((await readdir(join(directory.path, 'preimport'))).sort(), ['ours.json', 'ours.lock'])
  })

  it('is done by one at a time', async () => {
    const first = start()
    await followed()
    await using _second = start()
    pushes.push('team/app', '1')
    ;(await jobs.nth(1)).end()
    await savedAs(1)
    assert.equal(kept.lines().filter(({ message }) => message === 'pushed images are followed').length, 1)
    await first[Symbol.asyncDispose]()
    await followed(2)
    pushes.push('team/app', '2')
    ;(await jobs.nth(2)).end()
    await savedAs(2)
  })

  it('sends the token of its file', async () => {
    const tokenFile = join(directory.path, 'token')
    await writeFile(tokenFile, 'open-sesame\n', { mode: 0o600 })
    await using server = await serveScript(({ authorization }, response) => {
      response
        .writeHead(authorization === 'Bearer open-sesame' ? 200 : 401, { 'varve-events-after': 7 })
        .end()
    })
    await using _preimport = start({ events: `http://${server.host}/events`, tokenFile })
    assert.equal((await followed())['position'], 7)
    assert.doesNotMatch(kept.text(), /sesame/)
  })

  it('ends while it holds back the stream, and finds all of it again', async () => {
    {
      await using _preimport = start()
      await followed()
      for (let tag = 0; tag < 510; tag += 1) pushes.push('team/app', `v${tag}`)
      await jobs.nth(500)
    }
    assert.equal(await saved(), 0)
    await using _preimport = start()
    await jobs.nth(1000)
    for (let nth = 501; nth <= 1010; nth += 1) (await jobs.nth(nth)).end()
    await savedAs(510)
  })

  it('holds back the stream when too much waits, and loses nothing', async () => {
    await using _preimport = start()
    await followed()
    for (let tag = 0; tag < 600; tag += 1) pushes.push('team/app', `v${tag}`)
    await jobs.nth(500)
    assert.equal(jobs.asked.length, 500)
    for (let nth = 1; nth <= 600; nth += 1) (await jobs.nth(nth)).end()
    await savedAs(600)
    assert.equal(new Set(jobs.asked.map(({ image }) => image)).size, 600)
  })
})
