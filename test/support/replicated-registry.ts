import { type Fleet, type FleetOptions, startFleet } from './fleet.ts'
import { type PgBouncerOptions, startPgBouncer } from './pgbouncer.ts'
import { type PostgresTestServer, startPostgres } from './postgres.ts'
import { skipWithout } from './programs.ts'
import { type RoundRobin, startRoundRobin } from './round-robin.ts'
import { type FaultyS3, startFaultyS3 } from './s3-faults.ts'
import { skipWithoutS3, startS3Server } from './s3-server.ts'

/** A registry as it runs in production: replicas on PostgreSQL and S3, behind something that spreads requests. */
export interface ReplicatedRegistry extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, behind which each request goes to the next replica. */
  readonly url: string
  readonly balancer: RoundRobin
  readonly fleet: Fleet
  /** What stands between the replicas and the bucket. */
  readonly s3: FaultyS3
  readonly database: PostgresTestServer
}

export interface ReplicatedRegistryOptions extends Pick<FleetOptions, 'registry' | 'storage' | 'settings'> {
  /** 3 by default. */
  readonly replicas?: number
  /** Of the faults that are injected at random. */
  readonly seed?: number
  /** What stands between the replicas and the database; nothing unless given. */
  readonly pooler?: PgBouncerOptions | undefined
}

/** For `skip` of a suite. */
export async function skipWithoutReplicas(): Promise<string | false> {
  return (await skipWithout('postgres')) || (await skipWithoutS3('versitygw'))
}

export async function startReplicatedRegistry({
  replicas = 3,
  seed,
  pooler,
  registry,
  storage,
  settings,
}: ReplicatedRegistryOptions = {}): Promise<ReplicatedRegistry> {
  await using stack = new AsyncDisposableStack()
  const database = stack.use(await startPostgres())
  const server = stack.use(await startS3Server('versitygw'))
  const s3 = stack.use(await startFaultyS3(server, seed === undefined ? {} : { seed }))
  const ownUrl = await database.createDatabase({ locale: 'en-US' })
  const between = pooler && stack.use(await startPgBouncer(ownUrl, pooler))
  const databaseUrl = between?.through(ownUrl) ?? ownUrl
  const fleet = stack.use(
    await startFleet({ replicas, databaseUrl, objects: s3, registry, storage, settings }),
  )
  const balancer = stack.use(await startRoundRobin(() => fleet.urls()))
  const owned = stack.move()
  return {
    url: balancer.url,
    balancer,
    fleet,
    s3,
    database,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
