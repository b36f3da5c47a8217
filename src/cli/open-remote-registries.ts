import type { Config } from '../config.ts'
import { invalidSetting } from '../config/invalid.ts'
import { readSetting } from '../config/secrets.ts'
import { addressRanges } from '../storage/address-ranges.ts'
import type { ConnectionOptions } from '../storage/remote/connections.ts'
import {
  ConfiguredCredentials,
  type NamedCredentials,
} from '../storage/remote/credentials/configured-credentials.ts'
import { HttpRegistries } from '../storage/remote/http-registries.ts'
import { noProxyOf } from '../storage/remote/no-proxy.ts'
import type { RemoteRegistries } from '../storage/remote/remote-registries.ts'
import { version } from '../version.ts'
import { namedCredentials } from './create-credentials.ts'

/**
 * Registries elsewhere, as `remote` says; asks nobody yet. Whoever opens them disposes of them.
 * @param more credentials that stand elsewhere in the configuration; those of `remote` come first.
 * @throws DomainError `invalid` for a file that cannot be read.
 */
export function openRemoteRegistries(
  { remote }: Pick<Config, 'remote'>,
  more: readonly NamedCredentials[] = [],
): RemoteRegistries {
  return new HttpRegistries({
    plainHttp: remote.plainHttp,
    credentials: new ConfiguredCredentials({
      named: [...remote.credentials.map(namedCredentials), ...more],
      dockerConfigFile: remote.dockerConfigFile,
      runHelpers: remote.credentialHelpers,
    }),
    connections: {
      authorities: remote.caFile === undefined ? undefined : readAuthorities('remote.caFile', remote.caFile),
      proxy: proxyOf(remote),
      userAgent: `varve/${version}`,
      privateRedirects: addressRanges(remote.privateRedirects),
    },
  })
}

function proxyOf({ proxy, proxyCredentialsFile, noProxy }: Config['remote']): ConnectionOptions['proxy'] {
  if (proxy === undefined) return undefined
  const user =
    proxyCredentialsFile === undefined
      ? undefined
      : readSetting('remote.proxyCredentialsFile', proxyCredentialsFile)
  return {
    url: new URL(proxy),
    authorization: user === undefined ? undefined : `Basic ${Buffer.from(user).toString('base64')}`,
    noProxy: noProxyOf(noProxy),
  }
}

function readAuthorities(key: string, file: string): string {
  const pem = readSetting(key, file)
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  throw invalidSetting(key, `${file} has no certificate in PEM`)
}
