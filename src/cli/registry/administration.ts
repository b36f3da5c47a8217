import type { Config } from '../../config.ts'
import { AdminService } from '../../registry/admin/admin-service.ts'
import type { AdminParts } from '../../registry/admin/service/parts.ts'
import { bcryptHere } from '../../registry/auth/identities/bcrypt-here.ts'
import { wishesIn } from '../../registry/mirror/wishes.ts'
import type { Metadata } from '../../storage/metadata/metadata.ts'
import { policyOf } from './access-policy.ts'
import { isCopy } from './is-copy.ts'
import { openMirrorJobs } from './mirror-jobs.ts'

/**
 * Administration as the configuration wants it.
 * @param serving what a process that serves requests has of its own; a command hashes in place, and nobody logs in.
 */
export function createAdminService(
  config: Config,
  metadata: Metadata,
  serving: Partial<Pick<AdminParts, 'hasher' | 'identities' | 'policy' | 'passwordCost'>> & {
    readonly onMirrorWish?: (() => void) | undefined
    readonly collectNow?: AdminParts['collect']['tick'] | undefined
    readonly backup?: AdminParts['backup'] | undefined
    readonly retainNow?: AdminParts['retention']['tick'] | undefined
    readonly scrubNow?: AdminParts['scrub']['tick'] | undefined
  } = {},
): AdminService {
  return new AdminService({
    metadata,
    hasher: serving.hasher ?? bcryptHere,
    passwordCost: serving.passwordCost,
    identities: serving.identities ?? { verify: () => Promise.resolve(undefined) },
    policy: serving.policy ?? policyOf(config, metadata),
    // These are loaded when they are needed: their packages are large, and a command has to start quickly.
    keys: {
      list: async options => await metadata.listSigningKeys(options),
      rotate: async options => {
        const { createSigningKeys } = await import('./token-access.ts')
        await createSigningKeys(metadata, config.auth).rotate({
          forgetOld: options?.forgetOld ?? false,
          signal: options?.signal,
        })
        return await metadata.listSigningKeys(options)
      },
    },
    checkTrustPolicy: async (text, tenant) => {
      const { parseTrustPolicies } = await import('../../registry/trust/policy.ts')
      parseTrustPolicies(text, tenant)
    },
    isReadOnly: config.registry.readOnly,
    upstreamPrefixes: config.upstreams.map(({ prefix }) => prefix),
    backup: serving.backup ?? {
      everyHours: config.backup.everyHours,
      list: async options => await (await backupsHere(config)).list(options),
      run: async options => await (await backupsHere(config)).run(options),
      verify: async (id, options) => await (await backupsHere(config)).verify(id, options),
    },
    collect: {
      isEnabled: config.collect.enabled,
      tick:
        serving.collectNow ??
        (async options => {
          const [{ openStores }, { collectNow }] = await Promise.all([
            import('./stores.ts'),
            import('./collect-now.ts'),
          ])
          await using stores = await openStores(config, { migrate: config.database.migrate, ...options })
          return await collectNow(config, stores, options)
        }),
    },
    scrub: {
      bytesPerSecond: config.scrub.bytesPerSecond,
      tick:
        serving.scrubNow ??
        (async (asked, options) => {
          const [{ openStores }, { scrubNow }] = await Promise.all([
            import('./stores.ts'),
            import('./scrub-now.ts'),
          ])
          await using stores = await openStores(config, { migrate: config.database.migrate, ...options })
          return await scrubNow(config, stores, asked, options)
        }),
    },
    retention: {
      isEnabled: config.retention.enabled && !config.registry.readOnly,
      schedule: config.retention.schedule,
      source: {
        configured: config.retention.policies.map(({ name, ...policy }) => ({ name, policy })),
        isExempt: isCopy(config),
      },
      tick:
        serving.retainNow ??
        (async options => {
          const [{ openStores }, { retainNow }, { createLogger }] = await Promise.all([
            import('./stores.ts'),
            import('./retain-now.ts'),
            import('../../log.ts'),
          ])
          await using stores = await openStores(config, { migrate: config.database.migrate, ...options })
          return await retainNow(config, stores, createLogger(config.log), options)
        }),
    },
    mirror: { jobs: openMirrorJobs(config, metadata), wish: wishesIn(metadata, serving.onMirrorWish) },
  })
}

/** A command opens what it needs when it is asked for something. */
async function backupsHere(config: Config): Promise<Omit<AdminParts['backup'], 'everyHours'>> {
  const { backupsOf } = await import('./backup-now.ts')
  return backupsOf(config)
}
