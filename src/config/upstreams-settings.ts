import * as z from 'zod'
import { registryHost } from './credentials-settings.ts'
import { flag, fromJson, positiveInteger, webUrl } from './kinds.ts'
import { settingName, uniqueNames } from './named-list.ts'

/** As the registry has them; `storage/reference.ts` is not the configuration's to import. */
const component = /[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*/.source

const prefix = z
  .string()
  .max(128)
  .regex(
    new RegExp(`^${component}(?:/${component})*$`),
    'the beginning of a repository name, without a slash at its end, such as docker.io',
  )

const seconds = (byDefault: number) =>
  z.coerce.number().int().nonnegative().max(31_536_000).default(byDefault)

const upstream = z
  .strictObject({
    name: settingName,
    registry: registryHost,
    /** What our names of its repositories begin with. Its registry, unless given. */
    prefix: prefix.optional(),
    /** Values of the parameter `ns`. Its registry, unless given. */
    namespaces: z
      .array(z.string().regex(/^[!-~]{1,255}$/, 'characters of ASCII, no blanks'))
      .max(20)
      .optional(),
    /** Values of the header `Host`. */
    hosts: z.array(registryHost.toLowerCase()).max(20).default([]),
    root: flag().default(false),
    /** Put before the names that it is asked for. */
    repositoryPrefix: prefix.optional(),
    /** Name of one of `remote.credentials`; nobody's unless given. */
    credentials: z.string().max(64).optional(),
    tagFreshSeconds: seconds(300),
    absentSeconds: seconds(60),
    keepAbsent: flag().default(false),
    store: flag().default(true),
    /** Whether a name of one word is below `library/`. At docker.io, unless given. */
    library: flag().optional(),
    /** 0: never. */
    evictAfterDays: z.coerce.number().nonnegative().max(36_500).default(7),
    maxBytes: positiveInteger().optional(),
  })
  .transform(({ registry, ...rest }) => ({
    ...rest,
    registry: registry.toLowerCase(),
    prefix: rest.prefix ?? prefixOf(registry),
    namespaces: rest.namespaces ?? [registry.toLowerCase()],
    library: rest.library ?? registry.toLowerCase() === 'docker.io',
  }))
  .refine(each => prefix.safeParse(each.prefix).success, {
    path: ['prefix'],
    error: 'its registry is no beginning of a repository name; give one',
  })

export type UpstreamSetting = z.output<typeof upstream>

/** Other registries that this one stands in front of. */
export const upstreamsSettings = z
  .preprocess(fromJson, z.array(upstream).max(100).superRefine(uniqueNames).superRefine(apart))
  .default([])
  .describe(
    'Registries that this one pulls through from, as docs/pull-through.md describes them: name, registry (host:port), prefix, namespaces (values of ns), hosts, root, repositoryPrefix, credentials, tagFreshSeconds, absentSeconds, keepAbsent, store, library, evictAfterDays, maxBytes. A list; JSON in the environment.',
  )

/** distribution's way to say it: one upstream, at the root. */
export const proxySettings = z.strictObject({
  remoteUrl: webUrl('proxy.username and proxy.passwordFile')
    .optional()
    .describe(
      'URL of one registry to pull through from at the root, as distribution has it; for more see upstreams.',
    ),
  username: z.string().min(1).optional().describe('Who pulls from proxy.remoteUrl; nobody unless given.'),
  password: z.string().min(1).optional().meta({
    description: 'Password of proxy.username, where it is not in proxy.passwordFile.',
    secret: true,
  }),
  passwordFile: z.string().min(1).optional().describe('File with the password of proxy.username.'),
})

/** `quay.io:8443` is `quay.io-8443`. */
function prefixOf(registry: string): string {
  return registry.toLowerCase().replace(':', '-')
}

function apart(upstreams: readonly UpstreamSetting[], context: z.RefinementCtx): void {
  const message = conflictOf(upstreams)
  if (message !== undefined) context.addIssue({ code: 'custom', message })
}

/** Why it would not be clear which of them is meant; undefined where it is. */
export function conflictOf(
  upstreams: readonly Pick<UpstreamSetting, 'name' | 'prefix' | 'namespaces' | 'hosts' | 'root'>[],
): string | undefined {
  for (const [index, one] of upstreams.entries())
    for (const other of upstreams.slice(index + 1)) {
      const both = `${one.name} and ${other.name}`
      if (isWithin(one.prefix, other.prefix) || isWithin(other.prefix, one.prefix))
        return `the prefix of one of ${both} is below that of the other; give them prefixes apart`
      const namespace = one.namespaces.find(each => other.namespaces.includes(each))
      if (namespace !== undefined)
        return `${both} are both meant by ns=${namespace}; give one of them other namespaces, or none: []`
      const host = one.hosts.find(each => other.hosts.includes(each))
      if (host !== undefined) return `${both} are both meant by the host ${host}`
      if (one.root && other.root) return `${both} are both at the root; only one can be`
    }
  return undefined
}

function isWithin(inner: string, outer: string): boolean {
  return `${inner}/`.startsWith(`${outer}/`)
}
