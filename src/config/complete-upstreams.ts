import { invalidSetting } from './invalid.ts'
import { isOwnAddress } from './own-address.ts'
import type { Settings } from './schema.ts'
import { secretOf } from './secrets.ts'
import { conflictOf, type UpstreamSetting, upstreamsSettings } from './upstreams-settings.ts'

/** Of the one upstream that is written as distribution has it. No name of a list has a colon in it. */
export const proxyCredentialsName = 'proxy:'

export interface CompleteUpstreams {
  readonly upstreams: readonly UpstreamSetting[]
  readonly remote: Settings['remote']
  /** Whom `proxy.remoteUrl` knows. */
  readonly proxyCredentials: ProxyCredentials | undefined
}

export interface ProxyCredentials {
  readonly registry: string
  readonly username: string
  readonly password: string
}

/** Docker Hub's registry is not at the host that it is called by. */
const dockerHubHosts: readonly string[] = ['registry-1.docker.io', 'index.docker.io', 'docker.io']

/** @throws DomainError `invalid` that names the setting. */
export function completeUpstreams({ upstreams, proxy, remote, registry }: Settings): CompleteUpstreams {
  const own = proxy.remoteUrl === undefined ? undefined : proxyUpstream(proxy.remoteUrl)
  const all = [...upstreams, ...(own === undefined ? [] : [own])]
  const conflict = conflictOf(all)
  if (conflict !== undefined) throw invalidSetting('proxy.remoteUrl', conflict)
  for (const [index, { credentials, registry: host }] of upstreams.entries())
    checkCredentials(`upstreams.${index}.credentials`, credentials, host, remote.credentials)
  for (const [index, { registry: host }] of all.entries())
    if (isOwnAddress(host, registry.address))
      throw invalidSetting(
        index < upstreams.length ? `upstreams.${index}.registry` : 'proxy.remoteUrl',
        `${host} is this registry itself (registry.address)`,
      )
  const proxyCredentials = credentialsOf(proxy, own?.registry)
  const isPlain = own !== undefined && new URL(proxy.remoteUrl ?? '').protocol === 'http:'
  return {
    // What is read-only keeps nothing of what passes, either.
    upstreams: all.map(each => ({
      ...each,
      store: each.store && !registry.readOnly,
      ...(each === own && proxyCredentials !== undefined ? { credentials: proxyCredentialsName } : {}),
    })),
    remote: isPlain ? { ...remote, plainHttp: [...remote.plainHttp, own.registry] } : remote,
    proxyCredentials,
  }
}

function proxyUpstream(url: string): UpstreamSetting {
  const { host, pathname, search } = new URL(url)
  const read = upstreamsSettings.safeParse([
    {
      name: 'proxy',
      registry: dockerHubHosts.includes(host) ? 'docker.io' : host,
      root: true,
    },
  ])
  const [upstream] = read.success ? read.data : []
  if (upstream !== undefined && pathname === '/' && search === '') return upstream
  throw invalidSetting(
    'proxy.remoteUrl',
    `${host} cannot be an upstream like that: give the URL of a registry, without a path; upstreams can say more`,
  )
}

function credentialsOf(
  { username, password, passwordFile }: Settings['proxy'],
  registry: string | undefined,
): ProxyCredentials | undefined {
  const secret = secretOf('proxy.password', password, passwordFile)
  if (username === undefined && secret === undefined) return undefined
  if (registry === undefined) throw invalidSetting('proxy.username', 'it needs proxy.remoteUrl')
  if (username === undefined || secret === undefined)
    throw invalidSetting('proxy.username', 'give it and proxy.passwordFile, or neither')
  return { registry, username, password: secret }
}

function checkCredentials(
  key: string,
  name: string | undefined,
  registry: string,
  known: Settings['remote']['credentials'],
): void {
  if (name === undefined) return
  const named = known.find(each => each.name === name)
  if (named === undefined) throw invalidSetting(key, `remote.credentials has none of the name ${name}`)
  if (named.registry !== registry)
    throw invalidSetting(key, `the credentials ${name} are for ${named.registry}, not for ${registry}`)
}
