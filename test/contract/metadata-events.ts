import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import {
  type ContentEvent,
  isContentEvent,
  type NewContentEvent,
  type RegistryEvent,
} from '../../src/storage/metadata/event-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { parseTag, type RepositoryName } from '../../src/storage/reference.ts'
import type { Requester } from '../../src/storage/requester.ts'
import { commitText, freshRepository, imageManifest, looseManifest, newUpload } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

const by: Requester = {
  requestId: 'request',
  address: '192.0.2.1',
  scheme: 'https',
  host: 'registry.example.com',
  method: 'PUT',
  userAgent: 'test/1',
}

/** All events of the content after a position, read in small pages. */
export async function eventsAfter(
  metadata: Pick<Metadata, 'listEvents'>,
  after: number,
): Promise<ContentEvent[]> {
  const events: RegistryEvent[] = []
  for (;;) {
    const page = await metadata.listEvents({ after: events.at(-1)?.position ?? after, limit: 7 })
    events.push(...page)
    if (page.length < 7) return events.filter(isContentEvent)
  }
}

/** Every change is told of, once, in order; and of the receivers one process at a time takes care. */
export function metadataEventContract(opened: () => OpenedMetadata, clock: TestClock): void {
  /** What `change` tells, without what is different each time. */
  async function told(change: (metadata: Metadata) => Promise<unknown>) {
    const { metadata, replica } = opened()
    const { newest } = await metadata.eventBounds()
    await change(metadata)
    const events = await eventsAfter(replica, newest)
    return events.map(event => {
      const { position: _, ...rest } = event
      const { id: _id, ...facts } = rest
      return facts
    })
  }
  const short = (event: Omit<ContentEvent, 'position' | 'id'>) => `${event.kind} ${event.action}`

  describe('events', () => {
    it('of a push name its tags, and what these were before', async () => {
      const repository = freshRepository()
      const [older, newer] = [looseManifest('older', 'a'), looseManifest('newer', 'a', 'b', 'a')]
      await opened().metadata.putManifest(repository, older)
      const at = new Date(clock.time)
      const { digest, mediaType, size } = newer
      const facts = { repository, digest, mediaType, size, from: undefined, at, by }
      const [a, b] = [parseTag('a'), parseTag('b')]
      const expected = [
        { kind: 'manifest', action: 'push', tag: a, previous: undefined, ...facts },
        { kind: 'tag', action: 'tag', tag: a, previous: older.digest, ...facts },
        { kind: 'tag', action: 'tag', tag: b, previous: undefined, ...facts },
      ]
      assert.deepEqual(await told(metadata => metadata.putManifest(repository, newer, { by })), expected)
      const again = await told(metadata => metadata.putManifest(repository, newer))
      assert.deepEqual(
        again.map(({ previous, by: who }) => [previous, who]),
        [
          [undefined, undefined],
          [digest, undefined],
          [digest, undefined],
        ],
      )
    })

    it('of a deletion name each tag that went with it', async () => {
      const repository = freshRepository()
      const manifest = looseManifest('gone', 'b', 'a', 'c')
      await opened().metadata.putManifest(repository, manifest)
      const untagged = await told(metadata => metadata.deleteTag(repository, parseTag('c'), { by }))
      assert.deepEqual(
        untagged.map(event => [short(event), event.tag, event.digest, event.by]),
        [['tag delete', 'c', manifest.digest, by]],
      )
      const deleted = await told(metadata => metadata.deleteManifest(repository, manifest.digest, { by }))
      assert.deepEqual(
        deleted.map(event => [short(event), event.tag, event.digest, event.size]),
        [
          ['tag delete', 'a', manifest.digest, undefined],
          ['tag delete', 'b', manifest.digest, undefined],
          ['manifest delete', undefined, manifest.digest, manifest.size],
        ],
      )
    })

    it('of a manifest with very many tags are all there', async () => {
      const repository = freshRepository()
      const tags = Array.from({ length: 700 }, (_, index) => `t${String(index).padStart(4, '0')}`)
      const manifest = looseManifest('many', ...tags)
      assert.equal((await told(metadata => metadata.putManifest(repository, manifest))).length, 701)
      const deleted = await told(metadata => metadata.deleteManifest(repository, manifest.digest))
      assert.deepEqual(
        deleted.map(({ tag }) => tag),
        [...tags, undefined],
      )
    })

    it('of blobs tell of pushes, mounts and deletions', async () => {
      const [from, repository] = [freshRepository(), freshRepository()]
      const upload = newUpload(from, clock.time)
      const { id: uploadId, holder, objectKey } = upload
      const digest = digestOf(Buffer.from(uploadId))
      const commit = { digest, size: 36, objectKey, repository: from, uploadId, holder }
      const events = await told(async metadata => {
        await metadata.createUpload(upload)
        await metadata.commitBlob(commit, { by })
        // The same request once more has pushed nothing.
        await metadata.commitBlob(commit, { by })
        await metadata.linkBlob({ repository, from, digest }, { by })
        await metadata.linkBlob({ repository, from: undefined, digest }, { by })
        await metadata.unlinkBlob(from, digest, { by })
      })
      for (const event of events) assert.deepEqual([event.digest, event.size, event.by], [digest, 36, by])
      assert.deepEqual(
        events.map(event => [short(event), event.repository, event.from]),
        [
          ['blob push', from, undefined],
          ['blob mount', repository, from],
          ['blob mount', repository, undefined],
          ['blob delete', from, undefined],
        ],
      )
    })

    it('of what was refused do not exist', async () => {
      const repository = freshRepository()
      const { digest } = await commitText(opened().metadata, repository, 'kept', clock.time)
      const named = imageManifest({ config: digest, tags: ['named'] })
      await opened().metadata.putManifest(repository, named)
      const absent = digestOf(Buffer.from('nobody has pushed this'))
      const events = await told(async metadata => {
        const broken = imageManifest({ config: digest, layers: [absent], tags: ['broken'] })
        await rejectsWith('missing_reference', metadata.putManifest(repository, broken))
        await rejectsWith('not_found', metadata.deleteManifest(repository, absent))
        await rejectsWith('not_found', metadata.deleteTag(repository, parseTag('absent')))
        await rejectsWith('conflict', metadata.unlinkBlob(repository, digest))
        await rejectsWith('not_found', metadata.linkBlob({ repository, from: repository, digest: absent }))
      })
      assert.deepEqual(events, [])
    })

    it('of an adopted tag are there when it was set', async () => {
      const repository = freshRepository()
      const { digest, mediaType, size } = looseManifest('adopted')
      await opened().metadata.putManifest(repository, looseManifest('adopted'))
      const adopted = { repository, tag: parseTag('old'), digest, changedAt: new Date(clock.time - 1000) }
      const events = await told(async metadata => {
        assert.equal(await metadata.adoptTag(adopted), 'set')
        assert.equal(await metadata.adoptTag(adopted), 'same')
      })
      assert.deepEqual(
        events.map(event => [short(event), event.tag, event.digest, event.mediaType, event.size]),
        [['tag tag', 'old', digest, mediaType, size]],
      )
    })

    it('of what changes nothing are added by the caller', async () => {
      const { digest } = looseManifest('pulled')
      const pull: NewContentEvent = {
        kind: 'manifest',
        action: 'pull',
        repository: freshRepository(),
        digest,
        tag: parseTag('latest'),
        mediaType: 'text/x',
        size: 3,
        at: new Date(clock.time - 5),
        by: { ...by, account: 'somebody' },
      }
      const events = await told(metadata => metadata.addEvents([pull, pull]))
      assert.deepEqual(events, Array(2).fill({ ...pull, previous: undefined, from: undefined }))
      assert.deepEqual(await told(metadata => metadata.addEvents([])), [])
    })

    it('of upstreams are added by the caller, and have no repository', async () => {
      const { metadata, replica } = opened()
      const { newest } = await metadata.eventBounds()
      const at = new Date(clock.time)
      const blocked = {
        kind: 'upstream',
        action: 'block',
        upstream: 'docker.io',
        why: 'throttled',
        reason: 'docker.io answers 429.',
        until: new Date(clock.time + 60_000),
        pullsLeft: 0,
        at,
      } as const
      const freed = { kind: 'upstream', action: 'free', upstream: 'docker.io', at } as const
      await metadata.addEvents([blocked, freed])
      const events = await replica.listEvents({ after: newest, limit: 9 })
      assert.deepEqual(events, [
        { ...blocked, id: events[0]?.id, position: newest + 1 },
        { ...freed, id: events[1]?.id, position: newest + 2 },
      ])
    })

    it('have positions without gaps, and ids of their own', async () => {
      const { newest } = await opened().metadata.eventBounds()
      await opened().metadata.putManifest(freshRepository(), looseManifest('numbered', 'a', 'b', 'c'))
      const events = await eventsAfter(opened().metadata, newest)
      assert.deepEqual(
        events.map(({ position }) => position - newest),
        [1, 2, 3, 4],
      )
      assert.equal(new Set(events.map(({ id }) => id)).size, 4)
      assert.deepEqual(await eventsAfter(opened().replica, newest), events)
      assert.deepEqual(await opened().replica.listEvents({ after: newest + 1, limit: 2 }), events.slice(1, 3))
      assert.deepEqual(await opened().metadata.listEvents({ after: newest + 4, limit: 2 }), [])
    })

    it('of eight writers at once are each read once, in the order of what they tell', async () => {
      const { metadata, replica } = opened()
      const repositories = [freshRepository(), freshRepository(), freshRepository()]
      const { newest } = await metadata.eventBounds()
      const written: Written[] = []
      const clock = { ticks: 0 }
      let isOver = false
      const follow = async (reader: Metadata, pause: number) => {
        const seen: RegistryEvent[] = []
        while (true) {
          const wasOver = isOver
          const page = await reader.listEvents({ after: newest + seen.length, limit: 5 })
          seen.push(...page)
          if (page.length === 0 && wasOver) return seen
          if (page.length === 0) await new Promise(resolve => setTimeout(resolve, pause))
        }
      }
      const readers = [follow(metadata, 0), follow(replica, 3), follow(replica, 20)]
      await Promise.all(
        Array.from({ length: 8 }, async (_, writer) => {
          for (let step = 0; step < 12; step++) {
            const database = (writer + step) % 2 === 0 ? metadata : replica
            const repository = repositories[(writer + step) % 3] ?? assert.fail()
            written.push(await writeOne(database, repository, `${writer} ${step}`, clock))
          }
        }),
      )
      isOver = true
      const [seen = [], ...others] = await Promise.all(readers)
      for (const other of others) assert.deepEqual(other, seen)
      assert.deepEqual(
        seen.map(({ position }) => position),
        seen.map((_, index) => newest + 1 + index),
      )
      assert.equal(new Set(seen.map(({ id }) => id)).size, seen.length)
      checkOrder(seen.filter(isContentEvent), written)
    })

    it('are deleted when they are old, some at a time, from the oldest on', async () => {
      const { metadata, replica } = opened()
      clock.time += 3_600_000
      await metadata.putManifest(freshRepository(), looseManifest('young', 'a', 'b'))
      const { newest } = await metadata.eventBounds()
      const before = new Date(clock.time)
      const { oldest } = await metadata.eventBounds()
      assert.equal(await replica.deleteEvents(before, 3), 3)
      assert.equal((await metadata.eventBounds()).oldest, oldest + 3)
      const all = (await metadata.eventBounds()).newest - oldest - 2
      assert.equal(await replica.deleteEvents(before, 100_000), all - 3)
      assert.equal(await replica.deleteEvents(before, 100_000), 0)
      assert.deepEqual(await metadata.eventBounds(), { oldest: newest - 2, newest })
      assert.equal((await metadata.listEvents({ after: 0, limit: 1 }))[0]?.position, newest - 2)
      assert.equal(await replica.deleteEvents(new Date(clock.time + 1), 100_000), 3)
      assert.deepEqual(await metadata.eventBounds(), { oldest: newest + 1, newest })
      await metadata.putManifest(freshRepository(), looseManifest('next'))
      assert.equal((await metadata.listEvents({ after: 0, limit: 9 }))[0]?.position, newest + 1)
    })
  })

  describe('endpoints of events', () => {
    const lease = (holder: string, ms = 60_000) => ({ holder, until: new Date(clock.time + ms) })

    it('begin with what happens after they are made, and keep their place', async () => {
      const { metadata, replica } = opened()
      await metadata.putManifest(freshRepository(), looseManifest('before'))
      await Promise.all([metadata, replica].map(each => each.registerEndpoints(['begin-a', 'begin-b'])))
      const { newest } = await metadata.eventBounds()
      await metadata.putManifest(freshRepository(), looseManifest('after'))
      await replica.registerEndpoints(['begin-b', 'begin-c'])
      assert.deepEqual(
        (await metadata.listEndpoints()).filter(({ name }) => name.startsWith('begin')),
        [
          { name: 'begin-a', position: newest, failures: 0 },
          { name: 'begin-b', position: newest, failures: 0 },
          { name: 'begin-c', position: newest + 1, failures: 0 },
        ],
      )
    })

    it('have one holder, until it gives the lease up or is silent', async () => {
      const { metadata, replica } = opened()
      await metadata.registerEndpoints(['held'])
      const name = 'held'
      const winners = await Promise.all(
        ['a', 'b', 'c', 'd'].map((holder, index) =>
          (index % 2 === 0 ? metadata : replica).leaseEndpoint(name, lease(holder)),
        ),
      )
      const winner = ['a', 'b', 'c', 'd'].filter((_, index) => winners[index] !== undefined)
      assert.equal(winner.length, 1)
      const [holder = ''] = winner
      assert.ok(await replica.leaseEndpoint(name, lease(holder)))
      await metadata.saveEndpoint(name, holder, { position: 3, failures: 0, leaseUntil: lease('').until })
      assert.equal(await replica.leaseEndpoint(name, lease('x')), undefined)
      clock.time += 60_001
      assert.equal((await replica.leaseEndpoint(name, lease('x')))?.position, 3)
      const error = await rejectsWith(
        'conflict',
        metadata.saveEndpoint(name, holder, { position: 9, failures: 0 }),
      )
      assert.equal(error.details.resource, 'event')
      await replica.saveEndpoint(name, 'x', { position: 4, failures: 0 })
      assert.equal((await metadata.leaseEndpoint(name, lease('y')))?.position, 4)
    })

    it('are left alone until the next attempt', async () => {
      const { metadata, replica } = opened()
      const name = 'waiting'
      await metadata.registerEndpoints([name])
      await metadata.leaseEndpoint(name, lease('a'))
      const nextAttemptAt = new Date(clock.time + 1000)
      await metadata.saveEndpoint(name, 'a', { position: 1, failures: 2, nextAttemptAt })
      for (const holder of ['a', 'b'])
        assert.equal(await replica.leaseEndpoint(name, lease(holder)), undefined)
      clock.time += 1000
      assert.deepEqual(await replica.leaseEndpoint(name, lease('b')), { name, position: 1, failures: 2 })
    })

    it('that nobody has made are nobody’s', async () => {
      assert.equal(await opened().metadata.leaseEndpoint('absent', lease('a')), undefined)
      await rejectsWith(
        'conflict',
        opened().metadata.saveEndpoint('absent', 'a', { position: 1, failures: 0 }),
      )
    })
  })
}

/** One change, when it began and when it was acknowledged. */
interface Written {
  readonly repository: RepositoryName
  readonly facts: string
  readonly began: number
  readonly ended: number
}

const factsOf = ({ repository, kind, action, digest }: ContentEvent) =>
  `${repository} ${kind} ${action} ${digest}`

async function writeOne(
  metadata: Metadata,
  repository: RepositoryName,
  text: string,
  clock: { ticks: number },
): Promise<Written> {
  const began = clock.ticks++
  const isBlob = text.endsWith('5')
  const { digest } = isBlob
    ? await commitText(metadata, repository, text, Date.now())
    : await metadata.putManifest(repository, looseManifest(text, 'latest')).then(() => looseManifest(text))
  const facts = `${repository} ${isBlob ? 'blob' : 'manifest'} push ${digest}`
  return { repository, facts, began, ended: clock.ticks++ }
}

function checkOrder(seen: readonly ContentEvent[], written: readonly Written[]): void {
  const positions = new Map(seen.map(event => [factsOf(event), event.position]))
  const positionOf = ({ facts }: Written) => positions.get(facts) ?? assert.fail(`${facts} is not told of`)
  const expected = written.reduce((count, { facts }) => count + (facts.includes(' manifest ') ? 2 : 1), 0)
  assert.equal(seen.length, expected)
  // What began when the other was acknowledged comes later, in whatever repository.
  for (const a of written)
    for (const b of written)
      if (a.ended < b.began) assert.ok(positionOf(a) < positionOf(b), `${a.facts} before ${b.facts}`)
  // And what could not be told apart by its clients is told in the order of the transactions.
  const tagged = new Map<RepositoryName, string>()
  for (const event of seen.filter(({ kind }) => kind === 'tag')) {
    assert.equal(event.previous, tagged.get(event.repository))
    tagged.set(event.repository, event.digest)
  }
}
