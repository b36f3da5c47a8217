import { invalidSetting } from './invalid.ts'
import { isLoopback, isLoopbackAddress } from './loopback.ts'
import type { Settings } from './schema.ts'

type Auth = Settings['auth']

/** @throws DomainError `invalid` for a registry that anybody could change, and for settings that do not go together. */
export function checkAuth({ registry, auth }: Settings): void {
  if (auth.mode === 'none') checkOpen(auth, registry.address)
  else if (auth.open) throw invalidSetting('auth.open', `it is for auth.mode none, and that is ${auth.mode}`)
  checkExternal(auth)
  checkProviders(auth.providers)
}

function checkOpen(auth: Auth, address: string): void {
  // What has no port is no address, which is told where it is parsed.
  if (!auth.open && /:\d+$/.test(address) && !isLoopbackAddress(address))
    throw invalidSetting(
      'registry.address',
      `other machines may reach ${address}, and auth.mode is none, so that anybody could push and delete; set auth.mode to token (or basic), or auth.open to true if that is meant`,
    )
  // Whoever sets one of these believes that somebody is asked.
  for (const [key, isSet] of [
    ['auth.htpasswdFile', auth.htpasswdFile !== undefined],
    ['auth.providers', auth.providers.length > 0],
    ['auth.external.issuer', auth.external.issuer !== undefined],
    ['auth.clientCertificates.caFile', auth.clientCertificates.caFile !== undefined],
    ['auth.admins', auth.admins.length > 0],
    ['auth.anonymous', !auth.anonymous],
  ] as const)
    if (isSet)
      throw invalidSetting(key, 'nobody is asked who they are while auth.mode is none; set that, too')
}

function checkExternal({ mode, realm, external: { issuer, jwksFile, jwksUrl } }: Auth): void {
  const key = 'auth.external.issuer'
  if (issuer === undefined) {
    if (jwksFile !== undefined || jwksUrl !== undefined)
      throw invalidSetting(key, 'keys of another token service need its issuer')
    return
  }
  if (mode !== 'token') throw invalidSetting(key, 'another token service needs auth.mode token')
  if (realm === undefined) throw invalidSetting(key, 'another token service needs its URL as auth.realm')
  if ((jwksFile === undefined) === (jwksUrl === undefined))
    throw invalidSetting(
      key,
      'it needs its keys: auth.external.jwksFile or auth.external.jwksUrl, one of them',
    )
  if (jwksUrl !== undefined)
    checkKeysUrl('auth.external.jwksUrl', jwksUrl, 'use https://, or auth.external.jwksFile')
}

/** Whoever puts in keys of their own lets themselves in as anybody (OpenID Connect Discovery 1.0, 7.1). */
function checkKeysUrl(key: string, url: string, instead: string): void {
  const { protocol, hostname } = new URL(url)
  if (protocol === 'http:' && !isLoopback(hostname))
    throw invalidSetting(key, `whoever is on the way could put in other keys; ${instead}`)
}

function checkProviders(providers: Auth['providers']): void {
  const names = providers.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  for (const [index, { issuer }] of providers.entries())
    checkKeysUrl(
      `auth.providers.${index}.issuer`,
      issuer,
      'use https:// (caFile names an authority of your own)',
    )
  if (twice !== undefined) throw invalidSetting('auth.providers', `there are two of the name ${twice}`)
  const secret = providers.findIndex(
    ({ clientId, clientSecretFile }) => clientSecretFile !== undefined && clientId === undefined,
  )
  if (secret >= 0) throw invalidSetting(`auth.providers.${secret}.clientSecretFile`, 'it needs clientId')
}
