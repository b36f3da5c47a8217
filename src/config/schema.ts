import * as z from 'zod'
import { agentClientSettings } from './agent-settings.ts'
import { auditSettings, authSettings, limitsSettings } from './auth-settings.ts'
import { backupSettings } from './backup-settings.ts'
import { collectSettings } from './collect-settings.ts'
import { databaseSettings } from './database-settings.ts'
import { eventsSettings } from './events-settings.ts'
import { importerSettings } from './importer-settings.ts'
import { mirrorSettings } from './mirror-settings.ts'
import { pullThroughSettings } from './pull-through-settings.ts'
import { registrySettings } from './registry-settings.ts'
import { remoteSettings } from './remote-settings.ts'
import { retentionSettings } from './retention-settings.ts'
import { scrubSettings } from './scrub-settings.ts'
import { storageSettings } from './storage-settings.ts'
import { proxySettings, upstreamsSettings } from './upstreams-settings.ts'

/**
 * Every setting, once. Units are in the names. What is not named here is an error, so that a misspelt key is
 * never silently ignored.
 */
export const schema = z.strictObject({
  data: z.string().default('./data').describe('Directory of everything that the embedded defaults keep.'),
  log: z.strictObject({
    level: z
      .enum(['debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('How much is logged; each level includes those after it.'),
  }),
  registry: registrySettings,
  auth: authSettings,
  limits: limitsSettings,
  audit: auditSettings,
  storage: storageSettings,
  database: databaseSettings,
  events: eventsSettings,
  collect: collectSettings,
  retention: retentionSettings,
  backup: backupSettings,
  scrub: scrubSettings,
  remote: remoteSettings,
  mirror: mirrorSettings,
  upstreams: upstreamsSettings,
  proxy: proxySettings,
  pullThrough: pullThroughSettings,
  importer: importerSettings,
  agent: agentClientSettings,
})

export type Settings = z.output<typeof schema>

/** What is known about one setting. */
export interface Leaf {
  readonly description: string
  /** What may be seen of its value. */
  show(value: unknown): unknown
}

/** All settings by key, such as `registry.address`. */
export function leavesOf(object: z.ZodObject = schema, prefix = ''): Map<string, Leaf> {
  const leaves = new Map<string, Leaf>()
  for (const [name, field] of Object.entries(object.shape)) {
    const key = prefix + name
    if (field instanceof z.ZodObject) for (const leaf of leavesOf(field, `${key}.`)) leaves.set(...leaf)
    else leaves.set(key, leafOf(field as z.ZodType))
  }
  return leaves
}

function leafOf(field: z.ZodType): Leaf {
  const { description = '', secret, show } = z.globalRegistry.get(field) ?? {}
  if (secret === true) return { description, show: value => (value === undefined ? undefined : '(secret)') }
  return { description, show: value => (typeof show === 'function' ? show(value) : value) }
}

/** A tree in which every section is there: they may be left out of a file, and have their defaults then. */
export function withSections(tree: object, object: z.ZodObject = schema): object {
  const full: Record<string, unknown> = { ...tree }
  for (const [name, field] of Object.entries(object.shape)) {
    if (!(field instanceof z.ZodObject)) continue
    const section = full[name] ?? {}
    full[name] = typeof section === 'object' ? withSections(section, field) : section
  }
  return full
}
