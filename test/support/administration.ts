import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createLogger } from '../../src/log.ts'
import { AdminService } from '../../src/registry/admin/admin-service.ts'
import type { Administration } from '../../src/registry/admin/administration.ts'
import type { AdminParts } from '../../src/registry/admin/service/parts.ts'
import { AccessPolicy } from '../../src/registry/auth/access-policy.ts'
import { bcryptHere } from '../../src/registry/auth/identities/bcrypt-here.ts'
import type { Identity, IdentityProvider } from '../../src/registry/auth/identity.ts'
import { SigningKeys } from '../../src/registry/auth/tokens/signing-keys.ts'
import { Collector } from '../../src/registry/collect/collector.ts'
import { MirrorJobs } from '../../src/registry/mirror/mirror-jobs.ts'
import { wishesIn } from '../../src/registry/mirror/wishes.ts'
import { RetentionTicker } from '../../src/registry/retention/retention-ticker.ts'
import { Scrubber } from '../../src/registry/scrub/scrubber.ts'
import { parseTrustPolicies } from '../../src/registry/trust/policy.ts'
import { BackupStore } from '../../src/storage/backups/backup-store.ts'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import type { NewAuditEntry } from '../../src/storage/metadata/audit-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { MemoryObjectStore } from '../../src/storage/objects/memory.ts'
import { identityOf, KnownIdentities } from './known-identities.ts'
import { testScrubSettings } from './scrub.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** bcrypt's least: tests hash many passwords. */
export const testPasswordCost = 4

export interface TestAdministration extends AsyncDisposable {
  readonly service: AdminService
  readonly metadata: Metadata
  /** Who may do everything because nothing can be kept from them. */
  readonly system: Administration
  /** @param who the name of an account, or all that is known of it. */
  as(who: string | Identity, more?: Partial<Identity>): Administration
}

/** What an AdminService of a test works on. */
export function adminPartsOver(
  metadata: Metadata,
  identities: Pick<IdentityProvider, 'verify'> = new KnownIdentities(),
): AdminParts {
  const backups = new BackupStore({ objects: new MemoryObjectStore(), version: 'test' })
  const keys = new SigningKeys(metadata, { rotateAfterMs: 1_000_000, tokenLifetimeMs: 300_000 })
  return {
    metadata,
    hasher: bcryptHere,
    passwordCost: testPasswordCost,
    identities,
    policy: new AccessPolicy({ tenants: metadata, anonymous: true, admins: [] }),
    keys: {
      list: async options => await metadata.listSigningKeys(options),
      rotate: async options => {
        await keys.rotate({ signal: options?.signal })
        return await metadata.listSigningKeys(options)
      },
    },
    checkTrustPolicy: async (text, tenant) => {
      parseTrustPolicies(text, tenant)
    },
    isReadOnly: false,
    upstreamPrefixes: ['docker.io'],
    retention: {
      isEnabled: true,
      schedule: '0 3 * * *',
      source: { configured: [], isExempt: () => false },
      tick: async options => {
        const blobs = new ObjectBlobStore({ objects: new MemoryObjectStore(), metadata })
        const settings = { schedule: undefined, window: undefined, readsLabels: false, tickMs: 10_000 }
        const audit = async (entries: readonly NewAuditEntry[]) => await metadata.addAuditEntries(entries)
        const source = { configured: [], isExempt: () => false }
        const parts = {
          records: metadata,
          blobs,
          log: createLogger({ level: 'silent' }),
          source,
          audit,
          settings,
        }
        return await new RetentionTicker({ ...parts, holder: randomUUID() }).tick({ ...options, runs: true })
      },
    },
    backup: {
      everyHours: 24,
      list: async () => [],
      run: async () => undefined,
      verify: id => backups.verify(id),
    },
    collect: {
      isEnabled: true,
      tick: async options => {
        const settings = {
          policy: { untaggedMs: undefined, referrers: 'delete' },
          batch: 100,
          tickMs: 10_000,
          window: undefined,
        } as const
        const sweepGarbage = async () => ({ objects: 0, failures: [], isDone: true })
        return await new Collector({ records: metadata, sweepGarbage, holder: randomUUID(), settings }).tick(
          options,
        )
      },
    },
    scrub: {
      bytesPerSecond: 0,
      tick: async (asked, options) => {
        const objects = new MemoryObjectStore()
        return await new Scrubber({
          records: metadata,
          objects,
          holder: randomUUID(),
          settings: testScrubSettings,
        }).tick({ asked, ...options })
      },
    },
    mirror: {
      jobs: new MirrorJobs({ configured: [], records: metadata, credentials: ['hub'] }),
      wish: wishesIn(metadata),
    },
  }
}

/** Administration over a new SQLite file. */
export async function openTestAdministration(
  identities?: Pick<IdentityProvider, 'verify'>,
): Promise<TestAdministration> {
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await temporaryDirectory())
  const metadata = stack.use(await openSqliteMetadata(join(directory.path, 'varve.db')))
  const service = new AdminService(adminPartsOver(metadata, identities))
  const owned = stack.move()
  return {
    service,
    metadata,
    system: service.as({ kind: 'system', name: 'system:test' }),
    as: (who, more) =>
      service.as({
        kind: 'account',
        identity: typeof who === 'string' ? identityOf(who, more) : who,
        address: '127.0.0.1',
      }),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}
