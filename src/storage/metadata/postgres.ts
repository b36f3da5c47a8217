import { Kysely, sql } from 'kysely'
import { type Abortable, orAbort } from '../abortable.ts'
import { postgresColumnTypes } from './column-types.ts'
import { Database } from './database.ts'
import type { KeepTimes } from './keep-times.ts'
import { type Clock, kyselyMetadata } from './kysely-metadata.ts'
import type { Metadata } from './metadata.ts'
import { migrate } from './migrate.ts'
import { MigrationDialect, ReadCommittedDialect } from './postgres-dialect.ts'
import { type Patience, whilePatient } from './patience.ts'
import { postgresFailures } from './postgres-errors.ts'
import { PostgresPool, type PostgresPoolSettings } from './postgres-pool.ts'
import { databaseNameOf } from './postgres-url.ts'
import type { Schema } from './schema.ts'
import { refuseUnfinishedRestore } from './unfinished-restore.ts'

export interface PostgresMetadataOptions extends Abortable {
  readonly now?: Clock | undefined
  /** Connections that this process has at most; 10 by default. */
  readonly poolSize?: number | undefined
  /** How long a call waits for a connection; 10 s by default. */
  readonly connectTimeoutMs?: number | undefined
  /** How long a statement may take; 30 s by default. */
  readonly queryTimeoutMs?: number | undefined
  /** Whether an old schema is brought up to date, as it is by default; otherwise it is refused. */
  readonly migrate?: boolean | undefined
  /** A day and an hour by default. */
  readonly keep?: KeepTimes | undefined
  /** With a database that does not answer yet; none by default. */
  readonly patience?: Patience | undefined
  /** Whether a database is taken that a restore has not finished with; refused otherwise. */
  readonly isBeingRestored?: boolean | undefined
}

/**
 * Metadata in a PostgreSQL database (14 or later), which any number of replicas share. A database that goes away
 * makes calls fail with `unavailable` until it is back; nothing has to be opened again.
 *
 * A pooler that shares sessions between transactions may stand in between: nothing is prepared by name, set, locked or
 * left open beyond the end of a transaction. One that shares them between statements is refused.
 *
 * Leases are timed by the replicas' clocks, so these must not differ by more than a small part of a lease.
 *
 * A call that fails while its transaction is being committed may have done its work nevertheless, and may be made
 * again. Then `commitBlob`, `linkBlob`, `putManifest`, `saveUpload`, `releaseUpload`, `deleteUpload`, `leaseUpload`
 * of the same holder and `forgetGarbage` succeed as if for the first time, as does what sets something to a value. A
 * deletion answers `not_found`, what makes a tenant or an account `already_exists`, a push whose condition was that
 * there be nothing `conflict`. The session of a `createUpload` expires. A grant may be there twice.
 *
 * @param url `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with pg's parameters (`sslmode` …); messages never
 * show the user or the password.
 * @throws DomainError `invalid` for a URL that is none, `unavailable`, `unsupported` when a newer Varve has changed
 * the database, or when it is old and may not be changed.
 */
export async function openPostgresMetadata(
  url: string,
  options: PostgresMetadataOptions = {},
): Promise<Metadata> {
  const { signal, now = Date.now, migrate: mayChange = true, patience = { forMs: 0 } } = options
  const isBeingRestored = options.isBeingRestored ?? false
  const { poolSize = 10, connectTimeoutMs = 10_000, queryTimeoutMs = 30_000 } = options
  signal?.throwIfAborted()
  const name = databaseNameOf(url)
  const failures = postgresFailures(name)
  try {
    await whilePatient(
      () =>
        orAbort(prepare({ url, size: 1, connectTimeoutMs }, name, { mayChange, isBeingRestored }), signal),
      failures.whatMayPass,
      patience,
      { signal },
    )
  } catch (error) {
    throw failures.convert(error)
  }
  const pool = new PostgresPool({ url, size: poolSize, connectTimeoutMs, queryTimeoutMs })
  const kysely = new Kysely<Schema>({ dialect: new ReadCommittedDialect(pool, queryTimeoutMs) })
  return kyselyMetadata(new Database(kysely, failures), now, options.keep)
}

/** On a connection without time limits: a change of a large table takes long, and so does waiting for another's. */
async function prepare(
  pool: PostgresPoolSettings,
  name: string,
  { mayChange, isBeingRestored }: { readonly mayChange: boolean; readonly isBeingRestored: boolean },
): Promise<void> {
  const kysely = new Kysely<Schema>({ dialect: new MigrationDialect(new PostgresPool(pool)) })
  try {
    // A pooler that shares connections between statements would answer what is read, and refuse each change later.
    await kysely.transaction().execute(db => sql`select 1`.execute(db))
    await migrate(kysely, { name, types: postgresColumnTypes, mayChange })
    if (!isBeingRestored) await refuseUnfinishedRestore(kysely, name)
  } finally {
    await kysely.destroy()
  }
}
