import type { Config } from '../config.ts'
import { invalidSetting } from '../config/invalid.ts'
import type { Pools } from '../importer/agent/pools.ts'
import type { PreimportRule } from '../importer/preimport/preimport-rule.ts'
import { startPreimport } from '../importer/preimport/start-preimport.ts'
import type { Logger } from '../log.ts'
import { parsePlatform } from '../storage/platform.ts'

/** @throws DomainError `invalid` for a rule that names what is not configured. */
export function startConfiguredPreimport(
  config: Config,
  pools: Pick<Pools, 'get' | 'list'>,
  log: Logger,
): AsyncDisposable {
  const { preimport, platform, credentials } = config.importer
  const poolNames = pools.list().map(({ name }) => name)
  const credentialNames = credentials.map(({ name }) => name)
  const rules = preimport.map((rule, index): PreimportRule => {
    const key = `importer.preimport.${index}`
    check(`${key}.pool`, rule.pool, poolNames)
    check(`${key}.credentials`, rule.credentials, credentialNames)
    return { ...rule, platforms: (rule.platforms ?? [platform]).map(parsePlatform) }
  })
  return startPreimport({ rules, placeOf: pool => pools.get(pool), log })
}

function check(key: string, name: string | undefined, known: readonly string[]): void {
  if (name === undefined || known.includes(name)) return
  throw invalidSetting(key, `there is no ${name}; there are: ${known.join(', ') || 'none'}`)
}
