import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { ConfiguredUpstreams } from '../../../src/registry/pull-through/configured-upstreams.ts'
import { UpstreamEvents } from '../../../src/registry/pull-through/upstream-events.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseReference, parseRepositoryName } from '../../../src/storage/reference.ts'
import { HttpRegistries } from '../../../src/storage/remote/http-registries.ts'
import { countUpstream } from '../../support/counted-upstream.ts'
import { keepLog } from '../../support/log-lines.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

describe('events of upstreams', () => {
  it('tell that one is left alone, until when and why, with its quota', async () => {
    await using stack = new AsyncDisposableStack()
    const { path } = stack.use(await temporaryDirectory())
    const metadata = stack.use(await openSqliteMetadata(join(path, 'varve.db')))
    const upstream = stack.use(await countUpstream())
    upstream.answers = (_request, response) => {
      response.writeHead(429, { 'retry-after': '30', 'ratelimit-remaining': '0;w=21600' }).end()
      return true
    }
    {
      await using events = new UpstreamEvents({ records: metadata, log: keepLog().log })
      const upstreams = new ConfiguredUpstreams(
        [
          {
            name: 'hub',
            registry: upstream.host,
            prefix: parseRepositoryName('hub'),
            namespaces: [],
            hosts: [],
            root: false,
            repositoryPrefix: '',
            library: false,
            credentials: null,
            settings: { tagFreshSeconds: 0, absentSeconds: 0, keepAbsent: false, store: true },
          },
        ],
        stack.use(new HttpRegistries()),
        {
          blocked: (name, block) => events.blocked(name, block),
          freed: name => events.freed(name),
        },
      )
      const at = upstreams.of(parseRepositoryName('hub/team/app')) ?? assert.fail()
      const ask = () => at.upstream.ask(options => at.source.stat(parseReference('v1'), options))
      await Promise.all([assert.rejects(ask()), assert.rejects(ask())])
    }
    const [event, ...more] = await metadata.listEvents({ after: 0, limit: 9 })
    assert.deepEqual(more, [])
    assert.ok(event?.kind === 'upstream' && event.action === 'block')
    assert.deepEqual([event.upstream, event.why, event.pullsLeft], ['hub', 'throttled', 0])
    assert.match(event.reason, /asks to slow down/)
    assert.equal(event.until.getTime() - event.at.getTime(), 30_000)
  })

  it('wait while the database is away, and say the words of others in part only', async () => {
    let isAway = true
    const written: unknown[] = []
    const at = new Date(1000)
    {
      await using events = new UpstreamEvents({
        records: {
          addEvents: async given => {
            if (isAway) throw new DomainError('unavailable', 'It is away.', { resource: 'database' })
            written.push(...given)
          },
        },
        log: keepLog().log,
        everyMs: 1,
        now: () => at,
      })
      const by = new DomainError('unavailable', 'x'.repeat(5000), { resource: 'registry' })
      events.blocked('hub', { by, forMs: 7000, pullQuota: undefined })
      events.freed('hub')
      isAway = false
    }
    const reason = 'x'.repeat(500)
    const until = new Date(8000)
    assert.deepEqual(written, [
      { kind: 'upstream', action: 'block', upstream: 'hub', why: 'unavailable', reason, until, at },
      { kind: 'upstream', action: 'free', upstream: 'hub', at },
    ])
  })
})
