/** Replicas of a registry, on PostgreSQL and S3, that all know one job. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { startDockerRegistry } from '../../support/docker-registry.ts'
import { eventuallyWithin } from '../../support/eventually.ts'
import { fleetPartBytes } from '../../support/fleet.ts'
import { type GatedUpstream, gateUpstream } from '../../support/gated-upstream.ts'
import { ImagePusher } from '../../support/image-pusher.ts'
import { skipWithout } from '../../support/programs.ts'
import {
  type ReplicatedRegistry,
  skipWithoutReplicas,
  startReplicatedRegistry,
} from '../../support/replicated-registry.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const skip = (await skipWithoutReplicas()) || (await skipWithout('docker-registry'))
const MiB = 1024 * 1024
/** As in killed-run.test.ts, with the parts that these replicas have. */
const lostAtMost = 16 * MiB + 2 * fleetPartBytes + 8 * MiB

interface LoggedRun {
  readonly replica: number
  readonly run: string
  readonly outcome: string | undefined
  readonly from: number
  readonly until: number
}

describe('Replicas with a mirror job', { skip }, () => {
  const stack = new AsyncDisposableStack()
  const layer = randomBytes(60 * MiB)
  const digest = digestOf(layer)
  let upstream: GatedUpstream
  let pusher: ImagePusher
  let registry: ReplicatedRegistry
  let image: string

  before(async () => {
    const { path: directory } = stack.use(await temporaryDirectory())
    const source = await startDockerRegistry(join(directory, 'source'))
    stack.defer(() => source.stop())
    pusher = new ImagePusher(source.url)
    image = (await pusher.image('acme/big', 'v1', { layers: [randomBytes(1000), layer] })).digest
    upstream = stack.use(await gateUpstream(source.url))
    upstream.hold(digest, 52 * MiB)
    const job = {
      name: 'shared',
      source: { registry: upstream.host },
      target: {},
      repositories: ['acme/big'],
      schedule: { cron: '* * * * * *', jitterSeconds: 0 },
    }
    registry = stack.use(
      await startReplicatedRegistry({ replicas: 2, settings: { mirror: { jobs: [job] } } }),
    )
  })
  after(() => stack.disposeAsync())

  /** What a replica has logged of its runs; one that has not ended goes on for ever. */
  function runsOf(replica: number): LoggedRun[] {
    const lines = registry.fleet.replica(replica).lines()
    const of = (message: string) => lines.filter(line => line['message'] === message)
    return of('mirror run has begun').map(begun => {
      const end = of('mirror run has ended').find(({ run }) => run === begun['run'])
      return {
        replica,
        run: String(begun['run']),
        outcome: end?.['outcome'] as string | undefined,
        from: Date.parse(String(begun['time'])),
        until: end === undefined ? Number.POSITIVE_INFINITY : Date.parse(String(end['time'])),
      }
    })
  }
  const has = async (url: string, tag: string) =>
    (await fetch(`${url}/v2/acme/big/manifests/${tag}`, { method: 'HEAD' })).headers.get(
      'docker-content-digest',
    )

  it('have one leader; when it is killed, another goes on where it was', async () => {
    const { fleet } = registry
    await upstream.reached(digest)
    const leaders = [0, 1].filter(replica => runsOf(replica).length > 0)
    assert.equal(leaders.length, 1)
    const [leader = 0] = leaders
    const other = 1 - leader
    await fleet.kill(leader)
    upstream.release()
    upstream.take()
    await eventuallyWithin(
      180,
      'the image',
      async () => (await has(fleet.replica(other).url, 'v1')) === image,
    )
    const reread = upstream.sentOf(digest) - layer.length
    assert.ok(reread >= 0 && reread <= lostAtMost, `${reread} bytes again`)
    const asked = upstream
      .take()
      .filter(({ line }) => line.includes(`/blobs/${digest}`) && line.startsWith('GET'))
    assert.deepEqual(
      asked.map(({ status }) => status),
      [206],
    )
    await eventuallyWithin(60, 'the end of the run', () =>
      runsOf(other).some(({ outcome }) => outcome === 'ok'),
    )
  })

  it('lead it one after the other, never two at once', async () => {
    const { fleet } = registry
    for (const replica of [0, 1]) await fleet.restart(replica)
    const late = (await pusher.image('acme/big', 'v2', { layers: [randomBytes(1000)] })).digest
    await eventuallyWithin(60, 'what came later', async () => (await has(registry.url, 'v2')) === late)
    const count = [0, 1].flatMap(runsOf).length + 4
    const firstRuns = () =>
      [0, 1]
        .flatMap(runsOf)
        .sort((one, next) => one.from - next.from)
        .slice(0, count)
    // What one of them says may be read later than what the other says.
    const haveEnded = () => firstRuns().filter(({ outcome }) => outcome !== undefined).length === count
    await eventuallyWithin(60, 'more runs', haveEnded)
    const runs = firstRuns()
    for (const [index, { until, run }] of runs.entries()) {
      const next = runs[index + 1]
      assert.ok(next === undefined || next.from >= until, `${run} and ${next?.run} at once`)
    }
  })
})
